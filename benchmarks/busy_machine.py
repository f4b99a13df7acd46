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
SETTINGS = {"2 threads, spinning": (2, "active"), "2 threads, passive": (2, "passive"), "1 thread": (1, "passive")}


@contextmanager
def busy(count: int) -> Iterator[None]:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def timed(weights: str, threads: int, policy: str) -> tuple[float, float]:
    """Seconds of the optimisation, and of the complete command."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "KMP_", "GOMP_"))}
    with tempfile.TemporaryDirectory() as out:
        network = ["--model", "torchvision:squeezenet1_0", "--weights", weights, "--layer", "features.9"]
        rest = ["--channels", "0-1", "--threads", str(threads), "--out", out]
        start = perf_counter()
        subprocess.run(
            [sys.executable, "-c", COMMAND, "gallery", *network, *rest],
            env=environment | {"OMP_WAIT_POLICY": policy},
            capture_output=True,
            check=True,
        )
        wall = perf_counter() - start
        units = json.loads((Path(out) / "manifest.json").read_text())["units"]
    return sum(unit["seconds"] for unit in units), wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS))
    arguments = parser.parse_args()
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(arguments.rounds):
        for count in arguments.busy:
            for name in arguments.settings:
                with busy(count):
                    found.setdefault((name, count), []).append(timed(arguments.weights, *SETTINGS[name]))
                    print(name, count, found[name, count][-1], file=sys.stderr, flush=True)
    print("| threads | busy processes | optimisation, median (min to max) | complete command, median |")
    print("| --- | --- | --- | --- |")
    for (name, count), pairs in found.items():
        inner, outer = zip(*pairs, strict=True)
        seconds = f"{median(inner):.1f} s ({min(inner):.1f} to {max(inner):.1f})"
        print(f"| {name} | {count} | {seconds} | {median(outer):.1f} s |")


if __name__ == "__main__":
    main()
