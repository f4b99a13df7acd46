"""Runs that are watched: pictures of every step, and batches in any order."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from recipes.outputs.manifest import Manifest
from recipes.runner.run import OpenRun, run
from recipes.runner.units import Unit
from tests.small_runs import Stop, contents, gallery, pictures


def test_the_pictures_of_every_step_are_shown_and_the_files_stay_the_same(tiny_net: nn.Module, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    shown: dict[str, list[torch.Tensor]] = {}

    def watch(units: Sequence[Unit], step: int, total: int, look: Callable[[], torch.Tensor]) -> None:
        steps.append((step, total))
        for unit, picture in zip(units, look(), strict=True):
            shown.setdefault(unit.file, []).append(picture)

    run(gallery(tiny_net, tmp_path / "shown", batch_size=4), on_images=watch)
    gallery(tiny_net, tmp_path / "alone", batch_size=4).run()
    assert contents(tmp_path / "shown") == contents(tmp_path / "alone")
    assert steps == [(step, 4) for _ in range(2) for step in (1, 2, 3, 4)]
    for file, written in pictures(tmp_path / "shown").items():
        assert (shown[file][-1].permute(1, 2, 0).mul(255).round().numpy() == written).all()
        assert not torch.equal(shown[file][0], shown[file][-1])


def test_an_exception_of_the_pictures_callback_ends_the_run_and_keeps_what_is_finished(
    tiny_net: nn.Module, tmp_path: Path
) -> None:
    def stop(units: Sequence[Unit], step: int, total: int, look: Callable[[], torch.Tensor]) -> None:
        if units[0].channel == 2:
            raise Stop

    with pytest.raises(Stop):
        run(gallery(tiny_net, tmp_path), on_images=stop)
    assert list(Manifest.load(tmp_path / "manifest.json").units) == ["images/body/0000.png", "images/body/0001.png"]


def test_the_batches_of_an_open_run_are_the_same_in_any_order(tiny_net: nn.Module, tmp_path: Path) -> None:
    opened = OpenRun(gallery(tiny_net, tmp_path / "open"))
    for part in reversed(opened.parts):
        opened.make([part])
    opened.conclude()
    opened.close()
    assert opened.report().made == 6
    gallery(tiny_net, tmp_path / "run").run()
    assert contents(tmp_path / "open") == contents(tmp_path / "run")
