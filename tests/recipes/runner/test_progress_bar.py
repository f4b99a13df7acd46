"""The progress of a run in a terminal and in a log file."""

import io
import sys

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
    assert err.count("gallery: 2/2 units, all finished") == 1


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
        progress(RunProgress(2.5, 4, 1))
    text = terminal.getvalue()
    assert "[gallery]" in text
    assert "3/5 units" in text
    assert "s a unit" in text
    assert "left" in text
