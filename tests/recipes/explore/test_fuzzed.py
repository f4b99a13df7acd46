"""A short form of `tests/recipes/robustness/fuzz_explore.py`, which sends 1,000 requests."""

from pathlib import Path

from tests.recipes.robustness.fuzz_explore import fuzz


def test_hostile_requests_leave_the_server_alive_and_its_folder_whole(tmp_path: Path) -> None:
    ends = fuzz(150, 1, tmp_path)
    assert {"401", "403", "404"} <= ends.keys()
