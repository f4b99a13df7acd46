"""The bundled network: a small ReLU classifier of 56 drawn textures and objects, shipped inside the package.

It was trained by `python -m tools.bundled train-network` on pictures that the project draws itself; docs/bundled.md
describes how, and `data/builtin.json` holds its categories, its normalisation and the record of its training.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from inverter.metadata import as_input_size
from inverter.sources.source import Found, Source
from inverter_errors import MissingFile

DATA = Path(__file__).parents[1] / "data"
WEIGHTS = DATA / "builtin.safetensors"
FEATURES = DATA / "features_of_builtin.safetensors"
"""Feature statistics of the network on pictures of its own world."""
RECORD = DATA / "builtin.json"
INPUT_SIZE = 128
MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)
WIDTHS = (32, 64, 128, 192, 256)


def _block(
    inputs: int, outputs: int, kernel: int, stride: int, name: str, batch_norm: bool
) -> list[tuple[str, nn.Module]]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not batch_norm)
    norm = [("norm" + name, nn.BatchNorm2d(outputs))] if batch_norm else []
    return [("conv" + name, conv), *norm, ("relu" + name, nn.ReLU())]


def _stage(inputs: int, outputs: int, convs: int, batch_norm: bool) -> nn.Sequential:
    blocks: list[tuple[str, nn.Module]] = []
    for k in range(convs):
        blocks += _block(inputs if k == 0 else outputs, outputs, 3, 1, str(k + 1), batch_norm)
    return nn.Sequential(OrderedDict(blocks))


class BuiltinNet(nn.Module):
    """A plain convolutional classifier in the style of VGG (Simonyan & Zisserman 2015) with global average pooling.

    Maps normalised pictures (B, 3, H, W) (H, W >= 32; trained at 128) to logits (B, categories). Its layers:

    | address | shape at 128 px | receptive field |
    | --- | --- | --- |
    | `features.stem` | (32, 64, 64) | 5 px: edges and colours |
    | `features.stage1` | (64, 32, 32) | 23 px: corners, curves, fine patterns |
    | `features.stage2` | (128, 16, 16) | 59 px: textures and parts |
    | `features.stage3` | (192, 8, 8) | 131 px: parts and objects |
    | `features.stage4` | (256, 8, 8) | 163 px: objects |
    | `linear` | (categories,) | the full picture |

    Convolutions, biases, ReLUs and max-pools only: batch normalisation, used in training (`batch_norm=True`), is folded
    into the convolutions of the shipped file. Dropout acts in training alone.

    Args:
        categories: number of classes.
        batch_norm: adds a batch normalisation after each convolution, for training.
        dropout: probability of dropping a channel before the last layer, in [0, 1).
    """

    def __init__(self, categories: int = 56, batch_norm: bool = False, dropout: float = 0.2) -> None:
        super().__init__()
        w0, w1, w2, w3, w4 = WIDTHS
        self.features = nn.Sequential(
            OrderedDict(
                stem=nn.Sequential(OrderedDict(_block(3, w0, 5, 2, "1", batch_norm))),
                pool1=nn.MaxPool2d(2),
                stage1=_stage(w0, w1, 2, batch_norm),
                pool2=nn.MaxPool2d(2),
                stage2=_stage(w1, w2, 2, batch_norm),
                pool3=nn.MaxPool2d(2),
                stage3=_stage(w2, w3, 2, batch_norm),
                stage4=_stage(w3, w4, 1, batch_norm),
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(w4, categories)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.dropout(self.flatten(self.pool(self.features(image)))))
        return logits


@cache
def record() -> dict[str, Any]:
    """The shipped network's categories, normalisation, training settings, accuracies and sha256.

    Raises:
        MissingFile: if the package was installed without its data.
    """
    known: dict[str, Any] = json.loads(_installed(RECORD).read_text(encoding="utf-8"))
    return known


def categories() -> tuple[str, ...]:
    """The names of the network's outputs, in their order."""
    return tuple(record()["categories"])


def load_builtin() -> BuiltinNet:
    """The trained network, in float32, on the CPU and in eval mode.

    Returns:
        A network for pictures (B, 3, 128, 128) in [0, 1], normalised with MEAN and STD.

    Raises:
        MissingFile: if the package was installed without its data.

    Example:
        >>> import torch
        >>> load_builtin()((torch.rand(2, 3, 128, 128) - 0.5) / 0.5).shape
        torch.Size([2, 56])
    """
    network = BuiltinNet(len(categories()))
    network.load_state_dict({name: value.float() for name, value in load_file(_installed(WEIGHTS)).items()})
    return network.eval()


def _installed(path: Path) -> Path:
    if not path.is_file():
        raise MissingFile(f"the bundled network's file {str(path)!r} is missing: install the package with its data")
    return path


def _load(name: str, pretrained: bool) -> Found:
    return load_builtin(), {
        "normalize": (MEAN, STD),
        "input_size": as_input_size(INPUT_SIZE),
        "categories": categories(),
        "weights": WEIGHTS,
    }


def _names(pattern: str) -> list[str]:
    return ["builtin"]


SOURCE = Source(
    name="builtin",
    form="builtin",
    takes=lambda spec: spec if spec == "builtin" else None,
    load=_load,
    names=_names,
)
