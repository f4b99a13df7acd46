"""Finds the axes of every layer of a network in one forward pass, or two of different picture sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from inverter.capture.addresses import INPUT, Address
from inverter.capture.axes import Axes
from inverter.capture.outputs import first_tensor, main_tensor, named_tensors
from inverter.isolation.forward_errors import FORWARD_ERRORS, may_be_memory_order
from inverter.isolation.torchscript import named_layers

MOST_PREFIX = 8
"""The most tokens that are taken for class tokens and registers before those of the patches."""
STEP = 32
"""Sides of the second picture are multiples of this: most networks take those, if they take any other size."""

Size = tuple[int, int]
Shapes = dict[Address, torch.Size]
"""The shape of each tensor that goes into or comes out of a module, by address, in the order of a forward pass."""
ForwardPass = Callable[[int, Size], None]
"""Runs the network on a number of grey pictures of a size (height, width)."""

_MAPS = (
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.Dropout2d,
)


def outputs_maps(module: nn.Module) -> bool:
    """True for a module that can only output maps (B, C, H, W), if its output has four dimensions."""
    return isinstance(module, _MAPS)


def find_axes(module: nn.Module, run: ForwardPass, size: Size) -> dict[Address, Axes]:
    """The axes of every tensor that goes into or comes out of a module.

    An axis of places follows the size of the picture. Where the network takes one size only, an axis of tokens is known
    by its length: that of a grid which was seen before it in the forward pass, and a few tokens more.

    Args:
        module: the network.
        run: runs it; it may raise an error on the way, and what has run until then counts.
        size: (height, width) in pixels that the network is known to take.

    Returns:
        Axes by address.
    """
    batch, (seen, complete) = 2, _shapes(module, run, 2, size)
    if not complete:
        alone, _ = _shapes(module, run, 1, size)
        batch, seen = (1, alone) if len(alone) > len(seen) else (2, seen)
    found, doubtful = _decide(seen, batch, size, {})
    if doubtful:
        moved, _ = _shapes(module, run, batch, _another(size))
        found, _ = _decide(seen, batch, size, moved)
    return found


def _another(size: Size) -> Size:
    """Another picture size, smaller if possible and of other proportions, which most networks take if any."""
    height = max(STEP, size[0] // (2 * STEP) * STEP)
    width = height + 2 * STEP
    return height + STEP * (height == size[0]), width + STEP * (width == size[1])


def _shapes(module: nn.Module, run: ForwardPass, batch: int, size: Size) -> tuple[Shapes, bool]:
    """The shapes of a forward pass, and whether it reached its end."""
    seen: Shapes = {}
    calls: dict[str, int] = {}

    def before(name: str) -> Callable[..., None]:
        def hook(_part: nn.Module, inputs: Any, named: Any) -> None:
            if not name:  # the network itself: another try
                seen.clear()
                calls.clear()
            calls[name] = calls.get(name, -1) + 1
            tensor = first_tensor([*inputs, *named.values()])
            if tensor is not None:
                seen[Address(name, calls[name], INPUT)] = tensor.shape

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(_part: nn.Module, _inputs: Any, output: Any) -> None:
            for inner, tensor in named_tensors(output).items():
                seen[Address(name, calls[name], inner)] = tensor.shape
            if (main := main_tensor(output)) is not None:
                seen[Address(name, calls[name], "")] = main.shape

        return hook

    with ExitStack() as stack:
        for name, part in named_layers(module).items():
            stack.callback(part.register_forward_pre_hook(before(name), with_kwargs=True).remove)
            stack.callback(part.register_forward_hook(after(name)).remove)
        try:
            run(batch, size)
        except FORWARD_ERRORS as error:
            if not may_be_memory_order(error):
                raise
            return seen, False
    return seen, True


def _decide(seen: Shapes, batch: int, size: Size, moved: Shapes) -> tuple[dict[Address, Axes], bool]:
    """Axes of all tensors of a forward pass, and whether another picture size could say more."""
    found, context, doubtful = {}, _Context(batch, size), False
    for address, shape in seen.items():
        candidates = list(context.candidates(shape))
        certain = len(candidates) == 1 and not context.mixed_up(shape, candidates[0])
        doubtful |= not certain
        other = moved.get(address)
        if not certain and other is not None and len(other) == len(shape):
            changed = {axis for axis, (one, two) in enumerate(zip(shape, other, strict=True)) if one != two}
            others = [
                replace(each, ordered=not each.tokens) for each in context.possible(shape) if "A" not in each.letters
            ]
            candidates = [each for each in candidates + others if _places(each) == changed] or candidates
        axes = candidates[0] if candidates else context.unknown(shape)
        found[address] = axes
        context.learn(shape, axes)
    return found, doubtful


def _places(axes: Axes) -> set[int]:
    """The dimensions of a tensor that are places on a grid."""
    return {axis for axis, letter in enumerate(axes.letters[axes.merged :]) if letter in "HWNQK"}


class _Context:
    """What is known of a network's places before a tensor: grids of maps, and numbers of tokens."""

    def __init__(self, batch: int, size: Size) -> None:
        self.batch, self.size = batch, size
        self.grids: list[Size] = []
        self.counts: set[int] = set()  # of tokens
        self.channels: set[int] = set()

    def learn(self, shape: torch.Size, axes: Axes) -> None:
        if axes.letters.endswith("C") or axes.letters == "BCHW":
            self.channels.add(shape[1] if axes.letters == "BCHW" else shape[-1])
        if axes.letters in ("BCHW", "BHWC") and axes.ordered:
            first = axes.letters.index("H")
            self._see((shape[first], shape[first + 1]))
        elif axes.letters in ("BNC", "NBC", "BMNC") and not axes.merged:
            self.counts.add(shape[axes.letters.index("N")])
        elif axes.letters == "BMNC":
            self.counts.add(shape[1])

    def _see(self, grid: Size) -> None:
        if grid == self.size:
            return  # the picture itself
        while grid not in self.grids and min(grid) > 0:
            self.grids.append(grid)
            grid = grid[0] // 2, grid[1] // 2  # tokens of two by two patches are merged in hierarchical networks

    def prefix(self, count: int) -> int | None:
        """How many of `count` tokens come before those of the patches; None if no grid fits."""
        grids = self.grids or [
            (self.size[0] // side, self.size[1] // side)
            for side in range(2, min(self.size) + 1)
            if self.size[0] % side == 0 and self.size[1] % side == 0
        ]
        more = [count - rows * columns for rows, columns in grids if rows * columns > 1]
        return min((each for each in more if 0 <= each <= MOST_PREFIX), default=None)

    def candidates(self, shape: torch.Size) -> Iterator[Axes]:
        """The axes that a shape can have, the likeliest first; none if it has places that are on no known grid."""
        possible = list(self.possible(shape))
        if len(shape) == 3:  # as many tokens as there were before
            possible = [
                axes for axes in possible if axes.tokens and self._tokens(shape, axes) in self.counts
            ] or possible
        for axes in possible:
            if axes.tokens and "M" not in axes.letters:
                count = self._tokens(shape, axes)
                if axes.letters == "BANC":
                    if count in self.counts:
                        yield Axes("BANC", prefix=self.prefix(count) or 0, ordered=self.prefix(count) is not None)
                elif (prefix := self.prefix(count)) is not None:
                    yield Axes(axes.letters, axes.merged, prefix)
            elif axes.letters == "BAQK":
                if shape[2] == shape[3] and shape[2] in self.counts:
                    yield axes
                    return
            elif "H" not in axes.letters or axes.merged or self._alike(shape, axes.letters.index("H")):
                yield axes

    def mixed_up(self, shape: torch.Size, axes: Axes) -> bool:
        """True for channels-last maps that may be maps of other proportions than the picture."""
        return axes.letters == "BHWC" and (shape[1] in self.channels or (shape[1], shape[2]) not in self.grids)

    def _tokens(self, shape: torch.Size, axes: Axes) -> int:
        return shape[0] // self.batch if axes.merged else shape[axes.letters.index("N")]

    def _alike(self, shape: torch.Size, first: int) -> bool:
        """True if two axes have the proportions of the picture."""
        rows, columns = shape[first], shape[first + 1]
        return abs(rows * self.size[1] - columns * self.size[0]) <= 1.5 * max(self.size)

    def possible(self, shape: torch.Size) -> Iterator[Axes]:
        """All axes that a tensor of this shape might have, the likeliest first."""
        alone, several = shape[:1] == (self.batch,), len(shape) > 0 and shape[0] % self.batch == 0
        if len(shape) < 2:
            yield Axes("B")
        elif len(shape) == 2:
            yield Axes("BC") if alone or not several else Axes("BNC", merged=True)
        elif len(shape) == 3 and alone:
            yield from (Axes("BNC"), Axes("BCN"))
        elif len(shape) == 3 and shape[1] == self.batch:
            yield Axes("NBC")
        elif len(shape) == 3 and several:
            yield Axes("BMNC", merged=True, ordered=False)
        elif len(shape) == 4 and alone:
            yield from (Axes("BAQK", ordered=False), Axes("BCHW"), Axes("BHWC"), Axes("BANC"))
        elif len(shape) == 4 and several:
            heads = "BMAQK" if shape[2] == shape[3] else "BMANC"
            maps = "BMHWC" if shape[1] == shape[2] else "BMCHW"
            yield Axes(heads if shape[2] in self.counts else maps, merged=True, ordered=False)

    def unknown(self, shape: torch.Size) -> Axes:
        """The axes of a tensor whose places are not known: the likeliest, on no grid."""
        first = next(iter(self.possible(shape)), None)
        if first is None:
            return Axes("")
        if first.letters == "BAQK":
            last = shape[3] in self.channels and shape[1] not in self.channels
            return Axes("BMNC", ordered=False) if last else Axes("BCHW")
        return first if first.letters == "BC" else Axes(first.letters, first.merged, ordered=not first.tokens)
