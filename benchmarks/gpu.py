"""All that a GPU's speed is judged by, in one run of at most five minutes.

    python benchmarks/gpu.py [--seconds 280] [--device cuda]
    python benchmarks/gpu.py --quick --device cpu

Prints tables in Markdown, the most important first: the loop by network and number of pictures, the share of time in
which the GPU is busy, kernels by time, complete commands, and peers. Each measurement has an estimate: one that does
not fit into the time that is left is omitted with a note. Weights are random where the trained ones are missing: that
changes no time. Peers are omitted without `make .venv/installed-bench`. `--quick` makes tiny pictures of the bundled
network, to try the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from common import DATA, MOBILENET, SIZE, SQUEEZENET, apart, busy_share, machine, profiled
from gallery_vs_lucent import lucent
from maco_vs_horama import horama, timed
from maco_vs_horama import ours as maco

from inverter import Graphs, Inversion, Model, Settings, load_model, optimize
from objectives import channel
from priors import Fourier

PICTURES = (1, 8, 64, 256, 512)
STEPS = 32
TRAINED = DATA / "weights"
PHOTOGRAPHS = Path(__file__).parents[1] / "examples" / "pictures"
NETWORKS = (
    ("SqueezeNet 1.0", "torchvision:squeezenet1_0", SQUEEZENET, "features.9"),
    ("MobileNetV2", "torchvision:mobilenet_v2", MOBILENET, "features.10"),
    ("EfficientNet-Lite0", "timm:tf_efficientnet_lite0", TRAINED / "tf_efficientnet_lite0.safetensors", "blocks.4"),
    ("DeiT-tiny", "timm:deit_tiny_patch16_224", TRAINED / "deit_tiny_patch16_224.safetensors", "blocks.8"),
    ("ResNet-50", "torchvision:resnet50", None, "layer3"),
)  # fmt: skip


@dataclass
class Clock:
    """The time that is left, and what did not fit into it.

    Attributes:
        seconds: for all measurements together.
        omitted: what was left out, and why.
    """

    seconds: float
    started: float = field(default_factory=time.perf_counter)
    omitted: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        return self.seconds - (time.perf_counter() - self.started)

    def fits(self, what: str, estimate: float) -> bool:
        """Whether a measurement that takes about `estimate` seconds ends in time; notes it if not."""
        if estimate <= self.left:
            return True
        self.omitted.append(f"{what}: about {estimate:.0f} s, {max(self.left, 0):.0f} s left")
        return False


@dataclass(frozen=True)
class Bench:
    """What is measured, at full size or in the quick form.

    Attributes:
        device: of all measurements.
        quick: tiny pictures of the bundled network.
        clock: the time that is left.
    """

    device: str
    quick: bool
    clock: Clock

    @property
    def steps(self) -> int:
        return 2 if self.quick else STEPS

    @property
    def pictures(self) -> Sequence[int]:
        return (1, 2) if self.quick else PICTURES

    @property
    def size(self) -> int:
        return 32 if self.quick else SIZE

    def networks(self) -> Iterator[tuple[str, str, Model]]:
        """Name, layer and network."""
        if self.quick:
            yield "bundled", "features.stage1", load_model("builtin", device=self.device)
            return
        for name, spec, weights, layer in NETWORKS:
            if spec.startswith("timm:") and find_spec("timm") is None:
                self.clock.omitted.append(f"{name}: timm is not installed")
            elif self.clock.fits(name, 5):
                known = weights if weights is not None and weights.exists() else "random"
                yield name, layer, load_model(spec, known, device=self.device)

    def climb(self, model: Model, layer: str, count: int, graphs: Graphs) -> Inversion:
        """Pictures of the layer's channels, all in one batch, with the gallery's prior and augmentation."""
        total = model.shapes([layer], (self.size, self.size))[layer][1]
        objective = channel(layer, [i % total for i in range(count)])
        settings = Settings(steps=self.steps, batch_size=count)
        found = optimize(model, objective, Fourier(count, self.size), settings, graphs=graphs)
        self.wait()
        return found

    def wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()


def loops(bench: Bench) -> None:
    """Milliseconds of a step by network and number of pictures, and the share of time in which the GPU is busy.

    Of a second batch, which uses the recording of the first one again; loading is not timed.
    """
    print(f"## The loop, {bench.steps} steps of {bench.size} px\n")
    columns = ("network", "layer", "pictures", "ms a step", "of each picture", "ms a picture", "first batch, s")
    print("| " + " | ".join((*columns, "GPU busy", "loop")) + " |")
    print("| --- |" + " --- |" * (len(columns) + 1))
    for name, layer, model in bench.networks():
        last = (0.0, 1)
        for count in bench.pictures:
            if not bench.clock.fits(f"{name}, {count} pictures", last[0] * count / last[1]):
                break
            graphs, began = Graphs(), time.perf_counter()
            bench.climb(model, layer, count, graphs)  # searches for algorithms, records
            started = time.perf_counter()
            found = bench.climb(model, layer, count, graphs)
            seconds = time.perf_counter() - started
            busy = busy_share(*profiled(partial(bench.climb, model, layer, count, graphs), bench.device))
            last = (time.perf_counter() - began, count)
            first, step = started - began, 1000 * seconds / bench.steps
            shown = "" if busy is None else f"{busy:.0%}"
            print(
                f"| {name} | `{layer}` | {count} | {step:.2f} | {step / count:.3f} | {1000 * seconds / count:.1f} "
                f"| {first:.2f} | {shown} | {found.loop} |",
                flush=True,
            )


def kernels(bench: Bench) -> None:
    """Where the time of a step goes, for the first network and the second largest batch."""
    count, first = bench.pictures[-2], next(bench.networks(), None)
    if first is None or not bench.clock.fits("kernels by time", 15 if not bench.quick else 0):
        return
    name, layer, model = first
    graphs = Graphs()
    bench.climb(model, layer, count, graphs)
    profile, _ = profiled(partial(bench.climb, model, layer, count, graphs), bench.device)
    on_gpu = bench.device.startswith("cuda")
    spent = {
        each: each.self_device_time_total if on_gpu else each.self_cpu_time_total for each in profile.key_averages()
    }
    total = sum(spent.values()) or 1
    print(f"\n## Kernels of {name} `{layer}`, {count} pictures\n")
    print("| kernel | ms a step | share | calls a step |")
    print("| --- | --- | --- | --- |")
    for each, microseconds in sorted(spent.items(), key=lambda item: -item[1])[:16]:
        label = each.key.replace("|", " ")[:90]
        share = microseconds / total
        print(f"| `{label}` | {microseconds / 1000 / bench.steps:.3f} | {share:.1%} | {each.count / bench.steps:.1f} |")


def commands(bench: Bench) -> None:
    """Complete commands, start included."""
    squeezenet = [
        "--model",
        "torchvision:squeezenet1_0",
        "--weights",
        str(SQUEEZENET if SQUEEZENET.exists() else "random"),
    ]
    images = [item for name in ("cat.jpg", "fish.jpg") for item in ("--image", str(PHOTOGRAPHS / name))]
    tiny = ["--model", "builtin", "--size", "32", "--steps", "2"]
    deep_image = ["--prior", "deep-image", "--steps", "500"]
    layers = [item for layer in ("features.3", "features.7", "features.12") for item in ("--layer", layer)]
    found: dict[str, tuple[float, list[str]]] = {
        "gallery, all channels of `features.9`": (
            40, ["gallery", *squeezenet, "--layer", "features.9", "--channels", "all"],
        ),
        "classes, 8": (25, ["classes", *squeezenet, "--class", "0,100,200,300,400,500,600,700"]),
        "invert, 2 photographs x 3 layers": (30, ["invert", *squeezenet, *images, *layers]),
        "deep image prior, 1 picture, 500 steps": (
            30, ["gallery", *squeezenet, "--layer", "features.9", "--channels", "3", *deep_image],
        ),
    }  # fmt: skip
    if bench.quick:
        found = {"gallery, 2 channels": (0, ["gallery", *tiny, "--layer", "features.stem", "--channels", "0-1"])}
    print("\n## Complete commands\n")
    print("| command | pictures | s | ms a picture |")
    print("| --- | --- | --- | --- |")
    for name, (estimate, arguments) in found.items():
        if bench.clock.fits(name, estimate):
            try:
                seconds, count = _run([*arguments, "--device", bench.device], bench.clock.left)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                bench.clock.omitted.append(f"{name}: {error}: {str(error.stderr)[-300:]}")
            else:
                print(f"| {name} | {count} | {seconds:.1f} | {1000 * seconds / count:.0f} |", flush=True)


def _run(arguments: list[str], seconds: float) -> tuple[float, int]:
    """Wall-clock seconds of a command, and how many units it made."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "inverter", *arguments, "--out", out]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=max(seconds, 1))
        took = time.perf_counter() - started
        return took, len(json.loads((Path(out) / "manifest.json").read_text())["units"])


def peers(bench: Bench) -> None:
    """MACO next to Horama, and Lucent's pictures."""
    first = next(bench.networks(), None)
    if bench.quick or first is None:
        return
    _, layer, model = first
    rows: tuple[tuple[str, str, float, Callable[[], float], str], ...] = (
        ("inverter", "our MACO, 1280 px, 6 crops", 15, lambda: _maco(bench, model), "step"),
        ("horama", "Horama 0.3, the same", 20, lambda: _horama(bench.device), "step"),
        ("lucent", f"Lucent, 512 steps of `{layer}`", 40, lambda: _lucent(bench.device, layer), "picture"),
    )
    print("\n## Peers, on SqueezeNet 1.0\n")
    print("| | s | for a |")
    print("| --- | --- | --- |")
    for module, label, estimate, measure, unit in rows:
        if find_spec(module) is None:
            bench.clock.omitted.append(f"{label}: not installed")
        elif bench.clock.fits(label, estimate):
            try:
                print(f"| {label} | {measure():.4f} | {unit} |", flush=True)
            except Exception as error:  # a peer's fault, after which the rest goes on
                bench.clock.omitted.append(f"{label}: {type(error).__name__}: {error}")


def _maco(bench: Bench, model: Model) -> float:
    maco(model, 1, 2, 1280)  # warm up
    return timed(model, lambda: maco(model, 1, STEPS, 1280))[1] / STEPS


def _horama(device: str) -> float:
    return apart(horama, device, [1], STEPS, 1280)[0][1] / STEPS


def _lucent(device: str, layer: str) -> float:
    return apart(lucent, "squeezenet", device, layer, [3, 17])[1]


def main(arguments: Any = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=280, help="all measurements together")
    parser.add_argument("--quick", action="store_true", help="tiny pictures of the bundled network")
    options = parser.parse_args(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("no GPU is available: give --device cpu --quick to try the script without one")
    bench = Bench(options.device, options.quick, Clock(options.seconds))
    print(f"{machine(options.device)}\n")
    for section in (loops, kernels, commands, peers):
        section(bench)
    for note in bench.clock.omitted:
        print(f"\nOmitted: {note}.")
    print(f"\n{time.perf_counter() - bench.clock.started:.0f} s altogether.")


if __name__ == "__main__":
    main()
