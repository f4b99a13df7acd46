"""How like two pictures are."""

import pytest
import torch

from recipes.inversion.similarity import likeness


def test_a_picture_is_wholly_like_itself() -> None:
    picture = torch.rand(2, 3, 16, 12)
    for alike in likeness(picture, picture):
        assert alike["psnr"] == 99.0
        assert alike["ssim"] == pytest.approx(1.0, abs=1e-4)
    (small,) = likeness(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2))
    assert small["psnr"] == pytest.approx(0.0, abs=1e-5)
