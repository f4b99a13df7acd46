"""How the time and the memory of a gallery scale with its channels, and the utilisation of a GPU.

    python benchmarks/gallery_growth.py [--layer features.9] [--counts 8,64,512] [--steps 32] [--device cpu]

SqueezeNet 1.0 at 224 px. Each number of channels runs in a process of its own; loading is not timed. Busy: the share of
the loop's total time in which kernels run (CUDA only).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from common import SIZE, busy_share, machine, profiled, squeezenet

from inverter import Settings, optimize
from objectives import channel
from priors import Fourier
from recipes.gallery.posed import FOURIER_STEPS


def once(layer: str, count: int, steps: int, device: str) -> dict[str, float]:
    """Seconds for all channels together, the process's peak in bytes, and the share of time that the GPU is busy."""
    model = squeezenet(device=device)
    channels = [number % model.shapes([layer], (SIZE, SIZE))[layer][1] for number in range(count)]

    def run(settings: Settings) -> None:
        optimize(model, channel(layer, channels), Fourier(count, SIZE), settings)
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    optimize(model, channel(layer, channels[:8]), Fourier(min(8, count), SIZE), Settings(steps=2))  # warm up
    started = time.perf_counter()
    run(Settings(steps=steps))
    found = {"seconds": time.perf_counter() - started}
    if device.startswith("cuda"):
        found["peak"] = float(torch.cuda.max_memory_allocated())
        found["busy"] = busy_share(*profiled(lambda: run(Settings(steps=steps)), device)) or 0.0
    else:
        found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layer", default="features.9")
    parser.add_argument("--counts", default="8,64,512")
    parser.add_argument("--steps", type=int, default=FOURIER_STEPS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--once", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        print(json.dumps(once(options.layer, options.once, options.steps, options.device)))
        return
    print(f"{machine(options.device)}; SqueezeNet 1.0 {options.layer}, {options.steps} steps\n")
    print("| channels | s | ms per channel | picture-steps per second | peak memory | GPU busy |")
    print("| --- | --- | --- | --- | --- | --- |")
    for text in options.counts.split(","):
        command = [sys.executable, __file__, *sys.argv[1:], "--once", text]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        seconds, count = found["seconds"], int(text)
        busy = f"{found['busy']:.0%}" if "busy" in found else ""
        print(
            f"| {count} | {seconds:.2f} | {1000 * seconds / count:.0f} | {count * options.steps / seconds:.0f} "
            f"| {found['peak'] / 1e6:.0f} MB | {busy} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
