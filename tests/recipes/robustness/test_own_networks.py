"""Really trained networks of one's own, of other sizes, channels and normalisations, in the words of a new user."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., tuple[int, str, str]]

NETWORKS = '''
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.pad = outputs // 4 if inputs != outputs else 0

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(x + y)


class ResNet(nn.Module):
    """As in akamaster/pytorch_resnet_cifar10."""

    def __init__(self, blocks):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        inputs = 16
        for number, width in enumerate((16, 32, 64), 1):
            parts = []
            for part in range(blocks):
                parts.append(Block(inputs, width, 2 if part == 0 and number > 1 else 1))
                inputs = width
            setattr(self, f"layer{number}", nn.Sequential(*parts))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c3, self.c5 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Conv2d(16, 120, 5)
        self.f6, self.f7 = nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(self.c3(F.max_pool2d(self.c1(x).relu(), 2)).relu(), 2)
        return self.f7(self.f6(self.c5(x).relu().flatten(1)).relu())


class Xception(nn.Module):
    """The entry of the mini Xception and its head: blocks of separable convolutions with shortcuts."""

    class Block(nn.Module):
        def __init__(self, inputs, width):
            super().__init__()
            self.shortcut, self.bn_s = nn.Conv2d(inputs, width, 1, 2, bias=False), nn.BatchNorm2d(width, eps=1e-3)
            for number, channels in ((1, inputs), (2, width)):
                setattr(self, f"sep{number}", nn.Module())
                part = getattr(self, f"sep{number}")
                part.dw = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False)
                part.pw = nn.Conv2d(channels, width, 1, bias=False)
                setattr(self, f"bn{number}", nn.BatchNorm2d(width, eps=1e-3))

        def forward(self, x):
            y = F.relu(self.bn1(self.sep1.pw(self.sep1.dw(x))))
            y = self.bn2(self.sep2.pw(self.sep2.dw(y)))
            pad = (0, 1, 0, 1) if x.shape[2] % 2 == 0 else (1, 1, 1, 1)
            return self.bn_s(self.shortcut(x)) + F.max_pool2d(F.pad(y, pad, value=float("-inf")), 3, 2)

    def __init__(self):
        super().__init__()
        for number, channels in ((1, 1), (2, 8)):
            setattr(self, f"conv{number}", nn.Conv2d(channels, 8, 3, bias=False))
            setattr(self, f"bn{number}", nn.BatchNorm2d(8, eps=1e-3))
        for number, (inputs, width) in enumerate(((8, 16), (16, 32), (32, 64), (64, 128)), 1):
            setattr(self, f"block{number}", self.Block(inputs, width))
        self.head = nn.Conv2d(128, 7, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return self.head(self.block4(self.block3(self.block2(self.block1(x))))).mean((2, 3))


NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def resnet20():
    return ResNet(3)


def resnet56():
    return ResNet(9), {"input_size": 32, "categories": NAMES}


def convmixer():
    from timm.models.convmixer import ConvMixer

    norm = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
    return ConvMixer(256, 8, kernel_size=9, patch_size=4, num_classes=10), {"input_size": 32, "normalize": norm}


def lenet():
    return LeNet(), {"input_size": 32, "normalize": ((0.0,), (1.0,)), "categories": [str(i) for i in range(10)]}


def xception():
    return Xception(), {"input_size": 64, "normalize": ((0.5,), (0.5,))}
'''


@pytest.fixture
def place(here: Path) -> Path:
    (here / "own.py").write_text(NETWORKS)
    return here


def manifest(folder: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(Path(folder, "manifest.json").read_text())
    return data


def test_classes_of_a_cifar_network_by_the_size_of_the_pictures_alone(
    place: Path, command: Command, shared_data: Path
) -> None:
    weights = str(shared_data / "weights" / "cifar10_resnet20.safetensors")
    judge = str(shared_data / "weights" / "cifar10_resnet56.safetensors")
    code, out, err = command(
        *("classes", "--model", "own.py:resnet20", "--weights", weights, "--size", "32", "--steps", "32"),
        *("--tries", "1", "--judge", "own.py:resnet56", "--judge-weights", judge),
    )
    assert code == 0, err
    assert "the network puts 10 of 10 first" in out
    assert manifest("classes")["model"]["input_size"] == [32, 32]


@pytest.mark.parametrize(
    ("network", "weights"),
    [
        ("convmixer", "cifar10_convmixer"),
        ("lenet", "mnist_lenet5"),
        ("xception", "fer_mini_xception"),
        ("resnet56", "cifar10_resnet56"),
    ],
)
def test_what_a_factory_says_is_enough(
    place: Path, command: Command, shared_data: Path, network: str, weights: str, photos: Path
) -> None:
    own = ["--model", f"own.py:{network}", "--weights", str(shared_data / "weights" / f"{weights}.safetensors")]
    code, _, err = command("layers", *own)
    assert (code, err) == (0, "")
    code, _, err = command(
        *(
            "explain",
            *own,
            "--image",
            "photos",
            "--target",
            "logit:top",
            "--method",
            "gradient-x-input",
            "--out",
            "maps",
        )
    )
    assert code == 0, err
    assert "not known" not in err
    units = manifest("maps")["units"]
    first = {unit["image"]: unit["metrics"]["top5"][0]["index"] for unit in units if "top5" in unit["metrics"]}
    explained = {unit["image"]: unit["channel"] for unit in units if unit["channel"] is not None}
    assert first == explained
    assert len(first) == 2
