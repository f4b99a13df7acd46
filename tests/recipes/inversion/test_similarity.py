"""Similarity of pictures."""

import pytest
import torch

from recipes.inversion.similarity import psnr_and_ssim


def test_a_picture_is_as_similar_to_itself_as_can_be() -> None:
    picture = torch.rand(2, 3, 16, 12)
    for values in psnr_and_ssim(picture, picture):
        assert values["psnr"] == 99.0
        assert values["ssim"] == pytest.approx(1.0, abs=1e-4)
    (small,) = psnr_and_ssim(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2))
    assert small["psnr"] == pytest.approx(0.0, abs=1e-5)
