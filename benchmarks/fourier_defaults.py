"""Why the defaults are what they are: held-out score and burnt pixels of the Fourier prior's variants.

    python benchmarks/fourier_defaults.py [--weights squeezenet1_0.safetensors] [--layer features.9]

Prints a table in Markdown. Burnt: share of channel values within .02 of 0 or 1. Seconds count on a quiet machine only.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

from common import SIZE, SQUEEZENET, held_out, machine, squeezenet

from inverter import Settings, optimize
from objectives import channel
from priors import Fourier

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "defaults": ({}, {}),
    "1/f spectrum (Olah et al. 2017)": ({"decay": 1.0}, {}),
    "no limit of contrast": ({"contrast": math.inf}, {}),
    "no limit, learning rate .6": ({"contrast": math.inf}, {"learning_rate": 0.6}),
    "contrast 2.0": ({"contrast": 2.0}, {}),
    "contrast 3.0": ({"contrast": 3.0}, {}),
    "learning rate .5": ({}, {"learning_rate": 0.5}),
    "learning rate 1.4": ({}, {"learning_rate": 1.4}),
    "32 steps": ({}, {"steps": 32}),
    "48 steps": ({}, {"steps": 48}),
    "96 steps": ({}, {"steps": 96}),
    "no warm-up": ({}, {"warmup": 0}),
    "constant rate": ({}, {"schedule": "constant"}),
    "float32": ({}, {"precision": "float32"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=SQUEEZENET)
    parser.add_argument("--layer", default="features.9")
    parser.add_argument("--channels", default="3,17,42,77,101,150,200,250")
    options = parser.parse_args()
    channels = [int(number) for number in options.channels.split(",")]
    model = squeezenet(options.weights)
    objective = channel(options.layer, channels)
    optimize(model, objective, Fourier(len(channels), SIZE), Settings(steps=2))  # warm up
    print(f"{machine()}; SqueezeNet 1.0 {options.layer}, {SIZE} px, channels {options.channels}\n")
    print("| variant | mean held-out score | lowest | burnt | s a neuron |\n| --- | --- | --- | --- | --- |")
    for name, (of_prior, of_settings) in VARIANTS.items():
        started = time.perf_counter()
        result = optimize(model, objective, Fourier(len(channels), SIZE, **of_prior), Settings(**of_settings))
        seconds = (time.perf_counter() - started) / len(channels)
        scores = held_out(model, options.layer, channels, result.images)
        burnt = ((result.images < 0.02) | (result.images > 0.98)).float().mean()
        print(f"| {name} | {scores.mean():.0f} | {scores.min():.0f} | {burnt:.1%} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
