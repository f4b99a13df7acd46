"""Units that no picture makes active: tried once more, and no failure."""

from pathlib import Path

import torch
from torch import nn

from inverter import Model
from tests.small_runs import gallery


class Dead(nn.Module):
    """A channel that is active, one that is dead, and one that never changes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        with torch.no_grad():
            self.conv.weight[1:] = 0
            self.conv.bias.copy_(torch.tensor([0.0, -1.0, 0.3]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


def test_a_silent_unit_is_tried_once_more_and_is_no_failure(tmp_path: Path) -> None:
    model = Model(nn.Sequential(Dead()), input_size=(12, 12))
    report = gallery(model, tmp_path, layer="0", channels="all", negative=True).run()
    status = {(record.channel, record.direction): record.status for record in report.records}
    assert status[0, "max"] == "ok"
    assert status[1, "max"] == "silent"
    assert all(status[channel, "min"] == "ok" for channel in range(3))
    tries = {record.channel: record.metrics.get("tries") for record in report.records if record.direction == "max"}
    assert tries[0] is None
    assert tries[1] == 2
    assert status[2, "max"] == "silent"
    assert report.failed == []
    assert len(report.silent) == 2
    assert str(report.closing).startswith("2 pictures are of silent units")


def test_a_unit_that_only_wakes_after_the_first_steps_is_not_silent(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Model(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU()), input_size=(32, 32))
    report = gallery(model, tmp_path, layer="1", channels="0", size=32, steps=2).run()
    (record,) = report.records
    assert record.status == "ok"
    assert record.score is not None
    assert record.score > 0
