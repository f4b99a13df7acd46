"""How soon a page of `inverter explore` shows a changed picture after a slider of a mixture has moved.

    python benchmarks/explore_mixing.py --model torchvision:squeezenet1_0 --weights FILE --layer features.9

Prints, for some moves, the seconds to the first picture after step 2 and after step 4, and to the finished one, with
the processor time of the process in brackets: on a machine that does other work, it says what the move costs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

from recipes.explore import views
from recipes.explore.explore import Explore
from recipes.explore.session import Session

MOVES = (0.8, 0.6, 0.4, 0.2, -0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--weights")
    parser.add_argument("--layer", default="features.stage3")
    parser.add_argument("--channels", type=int, nargs=2, default=(3, 17))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        session = Session(Explore(model=options.model, weights=options.weights, out=out))
        session.load()
        for weight in (1.0, *MOVES):
            first, second = (f"{options.layer}/{channel}" for channel in options.channels)
            row = move(session, [f"{first}=1", f"{second}={weight}"])
            print(f"weight {weight:+.1f}: " + ", ".join(f"{key} {wall:.2f} s ({cpu:.2f})" for key, wall, cpu in row))
        session.close()


def move(session: Session, terms: list[str]) -> list[tuple[str, float, float]]:
    """One move of a slider: what came when."""
    seen: list[tuple[str, float, float]] = []
    begun, spent = time.perf_counter(), time.process_time()

    def send(_page: str, event: str, data: dict[str, Any]) -> None:
        now = (time.perf_counter() - begun, time.process_time() - spent)
        keys = [key for key, *_ in seen]
        if data["pictures"]:
            for key, step in (("step 2", 2), ("step 4", 4)):
                if data["step"] >= step and key not in keys:
                    seen.append((key, *now))
        if data["state"] in ("finished", "failed"):
            seen.append((data["state"], *now))

    session.events.send = send  # type: ignore[method-assign]
    run = views.start(session, "page-0001", {"recipe": "mix", "settings": {"terms": terms}, "slot": "picture"})["run"]
    while session.runs[run].state in ("waiting", "running") or not seen or seen[-1][0] not in ("finished", "failed"):
        time.sleep(0.005)
    return seen


if __name__ == "__main__":
    main()
