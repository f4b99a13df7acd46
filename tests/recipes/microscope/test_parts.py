"""Several runs as one: what is left out, what stops the run, and the progress of all of them together."""

from collections.abc import Callable
from typing import Any

import pytest

from inverter_errors import BadInput, OutOfMemory
from recipes.executors.progress import RunProgress
from recipes.microscope.parts import Outcome, Part, run_parts


def counting(*updates: RunProgress) -> Callable[[Any], None]:
    def make(progress: Any) -> None:
        for update in updates:
            progress(update)

    return make


def failing(error: BaseException) -> Callable[[Any], None]:
    def make(_progress: Any) -> None:
        raise error

    return make


def shares(*parts: Part) -> list[float]:
    seen: list[RunProgress] = []
    run_parts(parts, seen.append, Outcome(), lambda: None)
    return [round(update.share or 0.0, 3) for update in seen]


def test_the_share_is_that_of_all_parts_by_the_time_that_they_take() -> None:
    first = Part("first", counting(RunProgress(1, 2, 0), RunProgress(2, 2, 0)), {None: 1.0})
    second = Part("second", counting(RunProgress(1, 4, 0), RunProgress(4, 4, 0)), {None: 3.0})
    assert shares(first, second) == [0.125, 0.25, 0.438, 1.0]


def test_what_an_earlier_run_has_finished_is_no_work_of_this_one() -> None:
    finished = Part("first", counting(RunProgress(0, 0, 8)), {None: 5.0, "": 1.0})
    half = Part("second", counting(RunProgress(0, 2, 2), RunProgress(1, 2, 2)), {None: 4.0})
    assert shares(finished, half)[-1] == 0.5


def test_each_update_names_the_part_and_what_it_counts() -> None:
    seen: list[RunProgress] = []
    part = Part("top patches", counting(RunProgress(1, 2, 0, "input picture"), RunProgress(1, 2, 0)), {None: 1.0})
    run_parts([part, Part("atlas", lambda _: None, {None: 1.0})], seen.append, Outcome(), lambda: None)
    assert [(each.part, each.noun) for each in seen] == [
        ("part 1 of 2, top patches", "input picture"),
        ("part 1 of 2, top patches", "picture"),
    ]


def test_a_part_that_cannot_be_made_is_left_out_and_says_why() -> None:
    outcome, made = Outcome(), list[str]()
    parts = [Part("atlas", failing(BadInput("too few\nactivations")), {}), Part("classes", counting(), {})]
    run_parts(parts, None, outcome, lambda: made.append("site"))
    assert outcome.left_out == {"atlas": "too few activations"}
    assert made == ["site", "site"]


@pytest.mark.parametrize(
    ("error", "needed"),
    [(BadInput("no such layer"), True), (OutOfMemory("no memory"), False), (KeyboardInterrupt(), False)],
)
def test_what_stops_the_run_passes_through_once_the_site_is_made(error: BaseException, needed: bool) -> None:
    made: list[str] = []
    with pytest.raises(type(error)):
        run_parts([Part("pictures", failing(error), {}, needed)], None, Outcome(), lambda: made.append("site"))
    assert made == ["site"]
