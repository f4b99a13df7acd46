"""How much of a step on a CPU is Python and the start of operations.

    python benchmarks/host_time.py [--steps 40]

A step of one picture of 32 pixels has hardly any arithmetic: its time is that of the host, rounded up. The share is
this time in the step of eight pictures of 224 pixels. Processor time of one thread, the least of three runs.
"""

from __future__ import annotations

import argparse
import time

import torch
from common import SIZE, machine, named

from inverter import Model, Settings, optimize
from objectives import channel
from priors import Fourier

LAYERS = (("squeezenet", "features.3"), ("squeezenet", "features.9"), ("mobilenet", "features.10"))


def seconds_a_step(model: Model, layer: str, count: int, size: int, steps: int) -> float:
    """Processor time of a step, without what a run costs once."""

    def run(steps: int) -> float:
        started = time.process_time()
        optimize(model, channel(layer, range(count)), Fourier(count, size), Settings(steps=steps, batch_size=count))
        return time.process_time() - started

    run(2)  # warm up
    few = max(2, steps // 4)
    return min((run(steps) - run(few)) / (steps - few) for _ in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    print(machine())
    print("\n| layer | host, ms a step | eight pictures, ms a step | share |\n| --- | --- | --- | --- |")
    for network, layer in LAYERS:
        model = named(network)
        host = seconds_a_step(model, layer, 1, 32, 4 * steps)
        full = seconds_a_step(model, layer, 8, SIZE, max(8, steps // 4))
        print(f"| {network} {layer} | {1e3 * host:.2f} | {1e3 * full:.0f} | {100 * host / full:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
