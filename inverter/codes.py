"""Codes: what a network's layers make of pictures, kept in a file that can be inverted without the pictures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from inverter.loading import load_model
from inverter.models import Model
from inverter_errors import BadInput, MissingFile

TOGETHER = 16
"""Pictures in one forward pass of `encode`: enough to be fast, little enough for any memory."""


@dataclass(frozen=True, eq=False)
class Code:
    """The content of a code file.

    Attributes:
        layers: address -> codes (N, ...), float32.
        model, sha256: spec of the network that made them, and the digest of its weights.
        size: (height, width) of the pictures they were made from.
    """

    layers: Mapping[str, Tensor]
    model: str
    sha256: str
    size: tuple[int, int]

    @property
    def count(self) -> int:
        """How many pictures were encoded, N."""
        return len(next(iter(self.layers.values())))

    def check(self, model: Model) -> None:
        """Raises a BadInput if another network, or the same with other weights, made this code."""
        if self.sha256 != model.sha256:
            raise BadInput(
                f"the code was made by {self.model} with weights {self.sha256[:12]}..., not by {model.spec} with "
                f"weights {model.sha256[:12]}...: give the model and the weights it was made with"
            )


@torch.no_grad()
def encode(
    model: Model | nn.Module | str, images: Tensor, layers: str | Sequence[str], path: str | Path | None = None
) -> dict[str, Tensor]:
    """Phi0 = Phi(x0): the codes of pictures at one or several layers, in one forward pass that ends at the deepest.

    Args:
        model: from `load_model`, or what `load_model` takes.
        images: (N, 3, H, W) in [0, 1].
        layers: addresses; "" is the model's output.
        path: a `.safetensors` file to keep them in, for `load_code` and `inverter invert --code`.

    Returns:
        Address -> (N, ...), float32 on the CPU, in the order asked for.

    Raises:
        NotFound: for a layer that the network does not have, with the nearest addresses.
        BadInput: for no layers, pictures of another shape, or a network that cannot take them.

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
    """Writes a code file; whoever opens it sees all of it or none.

    Raises:
        BadInput: if its name does not end in `.safetensors`.
        OSError: if it cannot be written.
    """
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise BadInput(f"a code is kept in a .safetensors file, got {str(path)!r}")
    about = {
        "inverter": "code",
        "model": code.model,
        "sha256": code.sha256,
        "size": "{}x{}".format(*code.size),
        "layers": json.dumps(list(code.layers)),
    }
    data = save({address: codes.contiguous() for address, codes in code.layers.items()}, about)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_code(path: str | Path) -> Code:
    """Reads a code file.

    Raises:
        MissingFile: no such file.
        BadInput: a damaged file, or one that `encode` did not write.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise MissingFile(f"no code file {str(path)!r}")
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            layers = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, ValueError, OSError) as error:
        raise BadInput(f"{path} is damaged or no safetensors file ({error})") from error
    try:
        height, width = (int(side) for side in about["size"].split("x"))
        if min(height, width) < 1:
            raise BadInput("a picture without pixels")
        layers = {address: layers[address] for address in json.loads(about["layers"])}  # in the order asked for
        code = Code(layers, about["model"], about["sha256"], (height, width))
    except (KeyError, ValueError, TypeError, RecursionError):
        raise BadInput(f"{path} holds no code: expected a file that inverter.encode(..., path=...) wrote") from None
    counts = {address: len(codes) if codes.ndim > 1 else 0 for address, codes in layers.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise BadInput(f"{path} holds no code: expected as many codes (N, ...) for each layer, got {counts}")
    return code
