"""The progress of a run in a terminal and in a log file."""

import io
import sys
from itertools import pairwise

import pytest

import recipes.cli.entry
import recipes.runner.progress_bar
from recipes.executors.progress import RunProgress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3600, "1 h 00 min"), (7800, "2 h 10 min")],
)
def test_durations_are_written_in_seconds_minutes_or_hours(seconds: float, text: str) -> None:
    assert recipes.runner.progress_bar.clock(seconds) == text


def test_without_a_terminal_each_part_of_a_run_ends_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with recipes.runner.progress_bar.shown("gallery") as progress:
        for noun, units in (("picture", 3), (None, 2)):
            for done in (*range(units + 1), units):
                progress(RunProgress(done, units, 0, noun))
    err = capsys.readouterr().err.splitlines()
    assert err.count("gallery: 3/3 pictures, all finished") == 1
    assert err.count("gallery: 2/2 pictures, all finished") == 1


def test_in_a_terminal_a_bar_shows_units_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", terminal)
    with recipes.runner.progress_bar.shown("[gallery]") as progress:
        progress(RunProgress(0, 4, 1))
        progress(RunProgress(1, 4, 1))
        progress(RunProgress(2.5, 4, 1))
    text = terminal.getvalue()
    assert "[gallery]" in text
    assert "3/5 pictures" in text
    assert "pictures/s" in text
    assert "left" in text


def test_in_a_notebook_a_bar_is_shown_and_a_finished_run_fills_it(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[tuple[str, float]] = []
    monkeypatch.setattr(recipes.runner.progress_bar, "in_notebook", lambda: True)
    monkeypatch.setattr(recipes.runner.progress_bar.Bar, "show", lambda _, text, share: states.append((text, share)))
    with recipes.runner.progress_bar.shown("gallery") as progress:
        progress(RunProgress(1, 3, 1, share=0.5))
        progress(RunProgress(0, 0, 4, share=0.0))
    assert states[0][1] == 0.5
    assert states[1] == ("gallery: 4/4 pictures, all finished", 1.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.004, "250 pictures/s"),
        (0.4, "2.5 pictures/s"),
        (5.31, "5.3 s a picture"),
        (42, "42 s a picture"),
        (100, "1 min 40 s a picture"),
    ],
)
def test_the_time_of_a_picture_is_said_as_people_say_it(seconds: float, text: str) -> None:
    assert recipes.runner.progress_bar.pace(seconds, "picture") == text


@pytest.mark.parametrize("deep", [1.0, 5.0])
def test_the_time_left_falls_whatever_the_first_step_takes_and_where_later_units_take_longer(
    monkeypatch: pytest.MonkeyPatch, deep: float
) -> None:
    now, shown = 0.0, list[float]()
    monkeypatch.setattr(recipes.runner.progress_bar.time, "monotonic", lambda: now)
    rate = recipes.runner.progress_bar._Rate("picture")
    monkeypatch.setattr(recipes.runner.progress_bar, "clock", lambda seconds: shown.append(seconds) or "")
    monkeypatch.setattr(recipes.runner.progress_bar, "pace", lambda *_: "")
    work = 4 + 4 * deep
    rate.text(RunProgress(0, 8, 0, share=0.0))
    now += 6.0  # the first step warms up
    for step in range(1, 801):
        now += 0.1 * (1 if step <= 400 else deep)
        done = step / 100
        rate.text(RunProgress(done, 8, 0, share=(min(done, 4) + max(done - 4, 0) * deep) / work))
    falls = [after <= before + 0.01 for before, after in pairwise(shown[100:])]
    assert sum(falls) > 0.99 * len(falls)
    assert shown[200] == pytest.approx(0.1 * (work * 100 - 200), rel=0.3)


def test_a_run_of_parts_names_them_and_the_time_left_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(recipes.runner.progress_bar.time, "monotonic", lambda: now)
    rate, said = recipes.runner.progress_bar._Rate("unit"), list[str]()
    for part, first in (("part 1 of 2, patches", 0.0), ("part 2 of 2, pictures", 0.5)):
        for done in range(5):
            now += 5.0
            said.append(rate.text(RunProgress(done, 8, 0, share=first + done / 16, part=part)))
    assert said[4].startswith("part 1 of 2, patches: 4/8 units, 5.0 s a unit") and said[4].endswith("1 min 00 s left")
    assert said[9].startswith("part 2 of 2, pictures: 4/8 units, 5.0 s a unit")
