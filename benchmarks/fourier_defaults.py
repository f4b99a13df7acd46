"""The gallery's defaults against variants of them: held-out score, burnt pixels and time.

    python benchmarks/fourier_defaults.py [--layers squeezenet:features.9,...] [--channels 4] [--only TEXT]

Prints a table in Markdown: for each layer the score relative to the defaults, sums over its channels. Burnt: share of
channel values within .02 of 0 or 1. Seconds are CPU time of one thread, including the picture's own score.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from typing import Any

import torch
from common import SIZE, held_out, machine, mobilenet, spread_out, squeezenet
from gallery_vs_lucent import LAYERS

from inverter import PRESETS, Settings, optimize
from objectives import channel
from priors import Fourier
from recipes.gallery.posed import FOURIER_STEPS

VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "64 steps, cosine, momentum .9 (the defaults before)": {"steps": 64, "schedule": "cosine", "momentum": 0.9},
    "momentum .9": {"momentum": 0.9},
    "momentum .7": {"momentum": 0.7},
    "momentum 0": {"momentum": 0.0},
    "cosine": {"schedule": "cosine"},
    "constant rate": {"schedule": "constant"},
    "learning rate .5": {"learning_rate": 0.5},
    "learning rate 1.8": {"learning_rate": 1.8},
    "warm-up of 2 steps": {"warmup": 2},
    "16 steps": {"steps": 16},
    "24 steps": {"steps": 24},
    "48 steps": {"steps": 48},
    "no redirected ReLU": {"redirect": 0},
    "crops of three quarters, 43 steps": {"crop": 0.75, "steps": 43},
    "1/f spectrum (Olah et al. 2017)": {"decay": 1.0},
    "no limit of contrast": {"contrast": math.inf},
    "contrast 3.0": {"contrast": 3.0},
    "float32": {"precision": "float32"},
}
OF_PRIOR = ("decay", "contrast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", default=",".join(LAYERS))
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--only", default="", help="variants whose name contains this text; always the defaults")
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks = {"squeezenet": squeezenet(), "mobilenet": mobilenet()}
    places = [place.split(":") for place in options.layers.split(",")]
    print(f"{machine()}; {SIZE} px, {options.channels} channels of each layer\n")
    print(f"| variant | {' | '.join(' '.join(place) for place in places)} | burnt | s per picture |")
    print("| --- |" + " --- |" * (len(places) + 2))
    best: list[float] = []
    for name, variant in VARIANTS.items():
        if name != "defaults" and options.only not in name:
            continue
        scores, burnt, seconds = [], [], 0.0
        for network, layer in places:
            model = networks[network]
            channels = spread_out(options.channels, model.shapes([layer], (SIZE, SIZE))[layer][1])
            prior = Fourier(len(channels), SIZE, **{key: variant[key] for key in OF_PRIOR if key in variant})
            own = {key: value for key, value in variant.items() if key not in (*OF_PRIOR, "crop")}
            augment = replace(PRESETS["standard"], crop=variant.get("crop", 1.0))
            started = time.process_time()
            result = optimize(
                model, channel(layer, channels), prior, Settings(**{"steps": FOURIER_STEPS} | own), augment
            )
            seconds += (time.process_time() - started) / len(channels) / len(places)
            scores.append(held_out(model, layer, channels, result.images).sum().item())
            burnt.append(((result.images < 0.02) | (result.images > 0.98)).float().mean().item())
        best = best or scores
        cells = " | ".join(f"{score / usual:.2f}" for score, usual in zip(scores, best, strict=True))
        print(f"| {name} | {cells} | {sum(burnt) / len(burnt):.1%} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
