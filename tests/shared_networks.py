"""Really trained networks of one and of eight input channels, built as the test data's description says.

Each function is a factory for `--model tests/shared_networks.py:NAME`; the weights are files in the folder named by
`INVERTER_TEST_DATA`.
"""

import os
from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def weights(name: str) -> Path:
    """The file of a network's weights."""
    return Path(os.environ.get("INVERTER_TEST_DATA", ".")) / "weights" / f"{name}.safetensors"


def mnist_lenet5() -> nn.Module:
    """Digits: grey 32x32 in [0, 1], no normalisation; 10 logits."""
    layers = {
        "c1": nn.Conv2d(1, 6, 5), "relu1": nn.ReLU(), "pool1": nn.MaxPool2d(2),
        "c3": nn.Conv2d(6, 16, 5), "relu3": nn.ReLU(), "pool3": nn.MaxPool2d(2),
        "c5": nn.Conv2d(16, 120, 5), "relu5": nn.ReLU(), "flat": nn.Flatten(),
        "f6": nn.Linear(120, 84), "relu6": nn.ReLU(), "f7": nn.Linear(84, 10),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(layers))


class _Separable(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.dw = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
        self.pw = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pw(self.dw(x))


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(before, after, 1, stride=2, bias=False)
        self.bn_s = nn.BatchNorm2d(after, eps=1e-3)
        self.sep1, self.bn1 = _Separable(before, after), nn.BatchNorm2d(after, eps=1e-3)
        self.sep2, self.bn2 = _Separable(after, after), nn.BatchNorm2d(after, eps=1e-3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        deep = self.bn2(self.sep2(self.relu(self.bn1(self.sep1(x)))))
        odd = deep.shape[2] % 2
        padded = F.pad(deep, (odd, 1, odd, 1), value=-torch.inf)
        return self.bn_s(self.shortcut(x)) + F.max_pool2d(padded, 3, 2)


class _MiniXception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.block1, self.block2 = _Block(8, 16), _Block(16, 32)
        self.block3, self.block4 = _Block(32, 64), _Block(64, 128)
        self.head = nn.Conv2d(128, 7, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        x = self.block4(self.block3(self.block2(self.block1(x))))
        return self.head(x).mean((2, 3))


def fer_mini_xception() -> nn.Module:
    """Facial expressions: grey 64x64, mean and deviation .5; 7 logits."""
    return _MiniXception()


class _BasicPitch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.contour1, self.contour2 = nn.Conv2d(8, 8, (3, 39), padding=(1, 19)), nn.Conv2d(8, 1, 5, padding=2)
        self.note1 = nn.Conv2d(1, 32, 7, stride=(1, 3), padding=(3, 2))
        self.note2 = nn.Conv2d(32, 1, (7, 3), padding=(3, 1))
        self.onset1 = nn.Conv2d(8, 32, 5, stride=(1, 3), padding=(2, 1))
        self.onset2 = nn.Conv2d(33, 1, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        contour = torch.sigmoid(self.contour2(self.relu(self.contour1(x))))
        note = torch.sigmoid(self.note2(self.relu(self.note1(contour))))
        onset = self.onset2(torch.cat([note, self.relu(self.onset1(x))], 1))
        return {"contour": contour, "note": note, "onset": torch.sigmoid(onset)}


def basic_pitch() -> nn.Module:
    """Notes of polyphonic music: eight harmonics of a constant-Q transform, 172x264; three dense outputs."""
    return _BasicPitch()
