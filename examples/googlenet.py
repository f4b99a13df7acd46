"""GoogLeNet as Caffe trained it (InceptionV1, `bvlc_googlenet`): the network of DeepDream and of Distill's articles.

    inverter classes --model examples/googlenet.py:googlenet --weights FILE.safetensors --class 970

torchvision's `googlenet` is another network, with batch normalisation. This one has biases, local response
normalisation and true 5x5 convolutions; its weights have torchvision's names without `.conv`.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

WIDTHS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Channels of each inception module: entering; 1x1; 3x3 (before, after); 5x5 (before, after); pooled branch."""
NORMALIZE = ((123 / 255, 117 / 255, 104 / 255), (1.0, 1.0, 1.0))
"""Caffe's mean picture; the factor 255 and the order of the colours are part of the weights of `conv1`."""


class Inception(nn.Module):
    """Four branches side by side, their channels one after the other, and a ReLU."""

    def __init__(self, before: int, one: int, few: int, three: int, fewer: int, five: int, pooled: int) -> None:
        super().__init__()
        self.branch1 = nn.Conv2d(before, one, 1)
        self.branch2 = nn.Sequential(nn.Conv2d(before, few, 1), nn.ReLU(), nn.Conv2d(few, three, 3, padding=1))
        self.branch3 = nn.Sequential(nn.Conv2d(before, fewer, 1), nn.ReLU(), nn.Conv2d(fewer, five, 5, padding=2))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(before, pooled, 1))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1))


def googlenet() -> tuple[nn.Module, dict[str, Any]]:
    """The network, with what `load_model` needs to know of it: RGB pictures, 224x224; 1000 logits."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, 64, 7, 2, 3), relu1=nn.ReLU(), pool1=_pool(), norm1=nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0),
        conv2=nn.Conv2d(64, 64, 1), relu2=nn.ReLU(), conv3=nn.Conv2d(64, 192, 3, padding=1), relu3=nn.ReLU(),
        norm2=nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0), pool2=_pool(),
    )  # fmt: skip
    for name, widths in WIDTHS.items():
        layers[f"inception{name}"] = Inception(*widths)
        if name in ("3b", "4e"):
            layers[f"pool{int(name[0])}"] = _pool()
    layers.update(avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(1024, 1000))
    return nn.Sequential(layers), {"input_size": 224, "normalize": NORMALIZE}


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, 2, ceil_mode=True)
