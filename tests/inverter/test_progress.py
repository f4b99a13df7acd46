"""Progress: the callback can look at the pictures as they grow."""

import torch
from torch import Tensor, nn

from inverter import Progress, Settings, optimize
from objectives import channel
from priors import Fourier


def test_the_callback_sees_the_running_batch() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    seen: list[Tensor] = []
    found = optimize(
        net, channel("0", [0, 1, 2]), Fourier(3, 12), Settings(steps=3, batch_size=2), "none",
        progress=lambda at: seen.append(at.images),
    )  # fmt: skip
    assert [len(images) for images in seen] == [2, 2, 2, 1, 1, 1]
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], found.images[:2])
    assert not seen[0].requires_grad


def test_without_a_run_there_are_no_pictures() -> None:
    assert Progress(1, 2, 0, 4).images.numel() == 0
    assert Progress(1, 2, 0, 4) == Progress(1, 2, 0, 4, lambda: torch.zeros(1))
