"""Networks that read patches: a Vision Transformer does, convolutions and stems of few pixels do not."""

import pytest
from torch import nn

from inverter import Model
from inverter.patches import patch_side, reads_patches

VIT = nn.Sequential(nn.Conv2d(3, 8, 16, stride=16), nn.Flatten(2), nn.GELU())


@pytest.mark.parametrize(
    ("network", "side"),
    [
        (VIT, 16),
        (nn.Sequential(nn.Identity(), nn.Conv2d(1, 8, (8, 14), stride=(8, 14))), 14),
        (nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.Conv2d(8, 8, 8, stride=8)), None),  # ConvNeXt's, Swin's
        (nn.Sequential(nn.Conv2d(3, 8, 17, stride=16)), None),
        (nn.Sequential(nn.Conv2d(3, 8, 16, stride=16, padding=1)), None),
        (nn.Sequential(nn.Conv2d(3, 8, 7, stride=2), nn.Conv2d(8, 8, 16, stride=16)), None),
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), None),
    ],
)
def test_a_first_convolution_as_wide_as_its_stride_cuts_patches(network: nn.Module, side: int | None) -> None:
    model = Model(network)
    assert patch_side(model) == side
    assert reads_patches(model) == (side is not None)
