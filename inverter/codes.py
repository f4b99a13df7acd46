"""Codes: the activations of a network's layers for some pictures, in a file that can be inverted without them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from inverter.isolation.switches import recording
from inverter.loading import load_model
from inverter.models import Model
from inverter.tensor_files import read_tensors, write_tensors
from inverter_errors import BadInput

TOGETHER = 16
"""Pictures in one forward pass of `encode`: enough to be fast, few enough for any memory."""


@dataclass(frozen=True, eq=False)
class Code:
    """The content of a code file.

    Attributes:
        layers: address -> codes (N, ...), float32.
        model: spec of the network that made them.
        sha256: hex digest of its weights.
        size: (height, width) in pixels of the pictures they were made from.
    """

    layers: Mapping[str, Tensor]
    model: str
    sha256: str
    size: tuple[int, int]

    @property
    def count(self) -> int:
        """Number of encoded pictures, N."""
        return len(next(iter(self.layers.values())))

    def check(self, model: Model) -> None:
        """Checks that this network, with these weights, made the code.

        Args:
            model: the network to compare with.

        Raises:
            BadInput: if another network, or the same with other weights, made it.
        """
        if self.sha256 != model.sha256:
            raise BadInput(
                f"the code was made by {self.model} with weights {self.sha256[:12]}..., not by {model.spec} with "
                f"weights {model.sha256[:12]}...: give the model and the weights it was made with"
            )


def stride(shape: Sequence[int], size: tuple[int, int]) -> float:
    """How deep a code sits: pixels of the picture's side for each of its positions; for a vector the full side.

    Args:
        shape: of the code, (B, C, H, W) or any other.
        size: (height, width) of the picture in pixels.

    Returns:
        The geometric mean of the strides along both axes.

    Example:
        >>> stride((1, 96, 109, 109), (218, 218)), stride((1, 1000), (218, 218))
        (2.0, 218.0)
    """
    positions = math.prod(shape[2:]) if len(shape) == 4 else 1
    return math.sqrt(math.prod(size) / positions)


@recording()
@torch.no_grad()
def encode(
    model: Model | nn.Module | str, images: Tensor, layers: str | Sequence[str], path: str | Path | None = None
) -> dict[str, Tensor]:
    """Codes Phi0 = Phi(x0) of pictures at one or several layers, in one forward pass that ends at the deepest.

    Phi0 is the target of an inversion as in Mahendran & Vedaldi 2015, eq. 1.

    Args:
        model: from `load_model`, or what `load_model` takes.
        images: (N, 3, H, W) in [0, 1].
        layers: addresses; "" is the model's output.
        path: a `.safetensors` file to write them to, for `load_code` and `inverter invert --code`.

    Returns:
        Address -> (N, ...), float32 on the CPU, in the given order.

    Raises:
        LayerNotFound: for a layer that the network does not have, with the nearest addresses.
        BadInput: for no layers, pictures of another shape, a network that cannot take them, or a `path` that does not
            end in `.safetensors`.
        OSError: if `path` cannot be written.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten())
        >>> encode(net, torch.zeros(2, 3, 8, 8), "1")["1"].shape
        torch.Size([2, 8, 6, 6])
    """
    model = load_model(model)
    addresses = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not addresses:
        raise BadInput("encode: got no layers; expected at least one address")
    if images.ndim != 4 or images.shape[1] != len(model.mean) or not len(images):
        raise BadInput(f"encode: expected pictures (N, {len(model.mean)}, H, W), got shape {tuple(images.shape)}")
    size = (images.shape[2], images.shape[3])
    model.shapes(addresses, size)
    with model.capture(addresses) as capture:
        parts = [capture(model.normalize(part.to(model.device))) for part in images.float().split(TOGETHER)]
    codes = {address: torch.cat([part[address].float().cpu() for part in parts]) for address in addresses}
    if path is not None:
        save_code(Path(path), Code(codes, model.spec, model.sha256, size))
    return codes


def save_code(path: Path, code: Code) -> None:
    """Writes a code file atomically: readers see all of it or none.

    Args:
        path: a `.safetensors` file; its folder is made if it is missing.
        code: what to write.

    Raises:
        BadInput: if its name does not end in `.safetensors`.
        OSError: if it cannot be written.
    """
    about = {
        "inverter": "code",
        "model": code.model,
        "sha256": code.sha256,
        "size": "{}x{}".format(*code.size),
        "layers": json.dumps(list(code.layers)),
    }
    write_tensors(path, code.layers, about, "a code")


def load_code(path: str | Path) -> Code:
    """Reads a code file.

    Args:
        path: a `.safetensors` file that `encode` or `inverter encode` wrote.

    Returns:
        Its codes, and the network that made them.

    Raises:
        MissingFile: if there is no such file.
        BadInput: for a damaged file, or one that `encode` did not write.
    """
    layers, about = read_tensors(path, "code")
    try:
        height, width = (int(side) for side in about["size"].split("x"))
        if min(height, width) < 1:
            raise BadInput("a picture without pixels")
        layers = {address: layers[address] for address in json.loads(about["layers"])}  # in their order
        code = Code(layers, about["model"], about["sha256"], (height, width))
    except (KeyError, ValueError, TypeError, RecursionError):
        raise BadInput(f"{path} holds no code: expected a file that inverter.encode(..., path=...) wrote") from None
    counts = {address: len(codes) if codes.ndim > 1 else 0 for address, codes in layers.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise BadInput(f"{path} holds no code: expected as many codes (N, ...) for each layer, got {counts}")
    return code
