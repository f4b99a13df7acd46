"""How long a small gallery takes alone and next to busy processes, with threads that spin or sleep while they wait.

Each round makes the same two pictures in every setting, one after the other, so that a load that drifts meets all of
them alike. A busy process is `while True: pass`.

    python benchmarks/busy_machine.py --weights squeezenet1_0.safetensors --rounds 3
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

COMMAND = "import sys; from recipes.cli import main; sys.exit(main(sys.argv[1:]))"
SETTINGS = {
    "2 threads, as OpenMP waits by default": (2, {"KMP_BLOCKTIME": "200"}),  # one that is set: the command sets none
    "2 threads, passive": (2, {}),
    "2 threads, passive after 10,000 turns": (2, {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"}),
    "1 thread": (1, {}),
}


@contextmanager
def busy(count: int) -> Iterator[None]:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def timed(weights: str, channels: str, threads: int, waiting: dict[str, str]) -> tuple[float, float]:
    """Seconds of the optimisation, and of the complete command."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "KMP_", "GOMP_"))}
    with tempfile.TemporaryDirectory() as out:
        network = ["--model", "torchvision:squeezenet1_0", "--weights", weights, "--layer", "features.9"]
        rest = ["--channels", channels, "--threads", str(threads), "--out", out]
        start = perf_counter()
        subprocess.run(
            [sys.executable, "-c", COMMAND, "gallery", *network, *rest],
            env=environment | waiting,
            capture_output=True,
            check=True,
        )
        wall = perf_counter() - start
        units = json.loads((Path(out) / "manifest.json").read_text())["units"]
    return sum(unit["seconds"] for unit in units), wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--channels", default="0-1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS))
    arguments = parser.parse_args()
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(arguments.rounds):
        for count in arguments.busy:
            for name in arguments.settings:
                with busy(count):
                    seconds = timed(arguments.weights, arguments.channels, *SETTINGS[name])
                found.setdefault((name, count), []).append(seconds)
                print(name, count, seconds, file=sys.stderr, flush=True)
    print("| threads | busy processes | optimisation, median (min to max) | complete command, median |")
    print("| --- | --- | --- | --- |")
    for (name, count), pairs in found.items():
        inner, outer = zip(*pairs, strict=True)
        spread = f"{median(inner):.1f} s ({min(inner):.1f} to {max(inner):.1f})"
        print(f"| {name} | {count} | {spread} | {median(outer):.1f} s |")


if __name__ == "__main__":
    main()
