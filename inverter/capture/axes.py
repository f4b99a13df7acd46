"""The axes of an activation: which are places in the picture, and which hold the channels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from inverter_errors import BadInput, OutOfRange, plural

CLASS_TOKEN = "cls"
"""The name of the first token of a layer that has tokens before those of the patches."""


@dataclass(frozen=True)
class Axes:
    """What each axis of a layer's tensor is.

    Attributes:
        letters: one for each axis: B pictures, C channels, H rows, W columns, N tokens, A attention heads (with C: the
            channels of all heads), M windows (parts of the picture that are processed on their own), Q and K the tokens
            that attend and are attended to.
        merged: True if the tensor's first axis holds the first two letters: pictures x windows, or pictures x tokens.
        prefix: number of tokens before those of the patches (class token, registers).
        ordered: True if the places lie on a grid over the picture.

    Example:
        >>> str(Axes("BNC", prefix=1)), str(Axes("BMNC", merged=True, ordered=False)), Axes.parse("BHWC")
        ('BNC+1', '(BM)NC?', Axes(letters='BHWC', merged=False, prefix=0, ordered=True))
    """

    letters: str
    merged: bool = False
    prefix: int = 0
    ordered: bool = True

    def __str__(self) -> str:
        letters = f"({self.letters[:2]}){self.letters[2:]}" if self.merged else self.letters
        return letters + (f"+{self.prefix}" if self.prefix else "") + ("" if self.ordered else "?")

    @classmethod
    def parse(cls, text: str) -> Axes:
        """Axes from their letters, with `+k` for k tokens before those of the patches.

        Args:
            text: `BCHW`, `BHWC`, `BNC`, `NBC`, `BCN` or `BC`, optionally with `+k` where there is an N.

        Raises:
            BadInput: for other text.
        """
        found = re.fullmatch(r"(BCHW|BHWC|BNC|NBC|BCN|BC)(?:\+(\d{1,4}))?", text.strip())
        if found is None or (found[2] and "N" not in found[1]):
            raise BadInput(
                f"axes must be BCHW, BHWC, BNC, NBC, BCN or BC, or as BNC+1 for one class token; got {text!r}"
            )
        return cls(found[1], prefix=int(found[2] or 0))

    @property
    def rank(self) -> int:
        """Number of dimensions of the tensor."""
        return len(self.letters) - self.merged

    @property
    def tokens(self) -> bool:
        """True if the places are tokens."""
        return "N" in self.letters

    def maps(self, tensor: Tensor, batch: int, size: tuple[int, int]) -> Tensor:
        """The tensor of a layer as maps (B, C, h, w), or as it is if it holds vectors (B, C) or numbers (B,).

        Tokens before those of the patches are left out. Places that do not lie on a known grid become one column.

        Args:
            tensor: of the layer.
            batch: number of pictures B.
            size: (height, width) of the pictures in pixels.

        Returns:
            A view of the tensor where its memory allows one; the tensor itself if it is (B, C, h, w) already.
        """
        if self.letters in ("BCHW", "BC", "B", ""):
            return tensor
        maps = self._split(tensor, batch)
        if self._in_line:
            maps = maps[:, :, self.prefix :]
            return maps.unflatten(2, _grid(maps.shape[2], size)) if self.ordered else maps.unsqueeze(3)
        return maps if maps.ndim == 4 and self.ordered else maps.flatten(2).unsqueeze(3)

    def put(self, tensor: Tensor, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """The tensor of a layer with other maps: the inverse of `maps`, with gradients to both.

        Args:
            tensor: of the layer; what `maps` leaves out of it stays.
            maps: (B, C, h, w), as `maps` returns them.
            size: (height, width) of the pictures in pixels.
        """
        if self.letters in ("BCHW", "BC", "B", ""):
            return maps
        places = torch.arange(tensor.numel(), device=tensor.device).view(tensor.shape)
        where = self.maps(places, len(maps), size).flatten()
        return tensor.flatten().scatter(0, where, maps.to(tensor.dtype).flatten()).view(tensor.shape)

    def token(self, tensor: Tensor, batch: int, token: str, layer: str) -> Tensor:
        """One token of a layer, (B, C).

        Args:
            tensor: of the layer.
            batch: number of pictures B.
            token: its index among all tokens, or `cls` for the class token.
            layer: name of the layer, for errors.

        Raises:
            BadInput: for a layer without tokens or without a class token, or for another name.
            OutOfRange: for an index that is too high.
        """
        if not self._in_line:
            raise BadInput(f"layer {layer!r} has no tokens (its axes are {self}): leave out @{token}")
        tokens = self._split(tensor, batch)
        if token == CLASS_TOKEN and not self.prefix:
            raise BadInput(f"layer {layer!r} has no class token: its {tokens.shape[2]} tokens are those of the patches")
        if token != CLASS_TOKEN and not token.isdecimal():
            raise BadInput(f"unknown token {token!r} of layer {layer!r}: expected cls, all, or the index of a token")
        index = 0 if token == CLASS_TOKEN else int(token)
        if index >= tokens.shape[2]:
            raise OutOfRange(f"token {index} is out of range: layer {layer!r} has {plural(tokens.shape[2], 'token')}")
        return tokens[:, :, index]

    @property
    def _in_line(self) -> bool:
        return self.tokens and "M" not in self.letters

    def _split(self, tensor: Tensor, batch: int) -> Tensor:
        """(B, C, places...)."""
        if self.merged:
            tensor = tensor.unflatten(0, (batch, -1))
        channels = [axis for axis, letter in enumerate(self.letters) if letter in "AC"]
        places = [axis for axis, letter in enumerate(self.letters) if letter not in "ABC"]
        return tensor.permute(self.letters.index("B"), *channels, *places).flatten(1, len(channels))


AxesByPattern = Mapping[str, str] | Sequence[str] | str
"""Axes by a pattern for addresses: a mapping, or texts PATTERN=AXES."""


def as_axes(axes: AxesByPattern | None) -> dict[str, Axes]:
    """Axes by a pattern for addresses.

    Args:
        axes: {pattern: axes}, or one or several texts `PATTERN=AXES`, with axes as in `Axes.parse`.

    Raises:
        BadInput: for anything else.

    Example:
        >>> as_axes("blocks.*=BNC+1") == as_axes({"blocks.*": "BNC+1"}) == {"blocks.*": Axes("BNC", prefix=1)}
        True
    """
    if isinstance(axes, Mapping):
        pairs = list(axes.items())
    else:
        texts = [] if axes is None else [axes] if isinstance(axes, str) else list(axes)
        parted = [text.rpartition("=") if isinstance(text, str) else ("", "", "") for text in texts]
        pairs = [(pattern, letters) for pattern, _, letters in parted]
    if not all(isinstance(text, str) and text for pair in pairs for text in pair):
        raise BadInput(f"axes: got {axes!r}; expected PATTERN=AXES, such as 'blocks.*=BNC+1'")
    return {pattern: Axes.parse(text) for pattern, text in pairs}


@lru_cache(maxsize=1024)
def _grid(count: int, size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of `count` places, with the proportions nearest to those of a picture (height, width)."""
    pairs = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    return min(pairs, key=lambda pair: abs(math.log(pair[0] * size[1] / (pair[1] * size[0]))))
