"""Layers as places to look at: which one, what it says of a picture, and what the target makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from inverter import Model
from inverter.capture import check_address, split_address
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.scoring.forward import score_function

_KNOWN: WeakKeyDictionary[nn.Module, dict[Hashable, Any]] = WeakKeyDictionary()


def _once(model: Model, what: Hashable, find: Callable[[], Any]) -> Any:
    """What a dry run finds out: asked once of a network that keeps its parts, since it costs as much as a map."""
    known, key = _KNOWN.setdefault(model.module, {}), (what, *map(id, model.module.modules()))
    if key not in known:
        known[key] = find()
    return known[key]


def has_maps(shape: torch.Size) -> bool:
    """True for (B, C, h, w) of more than one position."""
    return len(shape) == 4 and shape[2] * shape[3] > 1


def check_maps(model: Model, layer: str, size: tuple[int, int]) -> None:
    """Raises a `NotFound` for a layer that is not there, a `BadInput` for one without maps."""
    model.check_layer(layer)
    shape = _once(model, (layer, size), lambda: model.shapes([layer], size)[layer])
    if not has_maps(shape):
        raise BadInput(
            f"layer {layer!r} puts out a tensor of shape {tuple(shape)}, expected maps (B, C, h, w) of more than one "
            "position: choose another layer (inverter layers shows them)"
        )


def last_map_layer(model: Model, target: Objective, size: tuple[int, int]) -> str:
    """Address of the last layer with maps that a picture of `size` passes on its way to the target.

    In a classifier that is the layer before global pooling; for a target inside the network, the layer that it reads.

    Raises:
        BadInput: if there is none.
    """
    seen = _once(model, (target.reads, size), lambda: _passed_maps(model, target.reads, size))
    if not seen:
        raise BadInput(f"{model.spec} has no layer with maps before {target.label(0)}: methods that need one fail")
    return seen[-1]


@torch.no_grad()
def _passed_maps(model: Model, reads: Sequence[str], size: tuple[int, int]) -> list[str]:
    """Addresses of the layers with maps that a picture passes on its way to what is read, in their order."""
    seen: list[str] = []
    calls: Counter[str] = Counter()

    def hook(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and has_maps(output.shape) and name:
                seen.append(f"{name}#{calls[name]}" if calls[name] else name)
            calls[name] += 1

        return note

    with ExitStack() as stack:
        for name, part in model.module.named_modules():
            stack.callback(part.register_forward_hook(hook(name)).remove)
        with model.capture(reads) as capture:
            capture(model.normalize(torch.full((1, len(model.mean), *size), 0.5, device=model.device)))
    return seen


@torch.no_grad()
def check_upstream(model: Model, target: Objective, layer: str, size: tuple[int, int]) -> None:
    """Raises a `BadInput` for a layer that a picture of `size` does not pass on its way to the target."""
    name, call = split_address(layer)

    def calls() -> int:
        count = Counter[str]()
        part = model.module.get_submodule(name)
        # Before the hooks of what is read, which end the pass: the target's own layer is passed, too.
        handle = part.register_forward_hook(lambda *_: count.update([name]))
        try:
            with model.capture(target.reads) as capture:
                capture(model.normalize(torch.full((1, len(model.mean), *size), 0.5, device=model.device)))
        finally:
            handle.remove()
        return count[name]

    if _once(model, (name, target.reads, size), calls) <= call:
        raise BadInput(f"{target.name} does not depend on layer {layer!r}: choose one before it")


@contextmanager
def replaced_activation(module: nn.Module, layer: str, edit: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """A context in which the network goes on from `edit(activation)` instead of a layer's activation.

    Enter it before `score_function`: a target that reads the same layer then sees the new one.
    """
    check_address(module, layer)
    name, wanted = split_address(layer)
    calls = Counter[str]()

    def begin(_module: nn.Module, _inputs: Any) -> None:
        calls.clear()

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        calls[name] += 1
        if calls[name] - 1 != wanted:
            return None
        if not isinstance(output, Tensor):
            raise BadInput(f"layer {layer!r} puts out {type(output).__name__}, expected a tensor: choose another")
        return edit(output)

    with ExitStack() as stack:
        stack.callback(module.register_forward_pre_hook(begin).remove)
        stack.callback(module.get_submodule(name).register_forward_hook(hook).remove)
        yield


def layer_gradient(
    model: Model,
    images: Tensor,
    target: Objective,
    layer: str,
    rows: Tensor | None = None,
    below: AbstractContextManager[object] | None = None,
) -> tuple[Tensor, Tensor]:
    """A layer's activation A (N, C, h, w) and d score / dA, of pictures (N, 3, H, W).

    The backward pass ends at the layer. In-place operations behind it do not write into A.

    Args:
        below: a context for the pass as far as the layer: another rule for the gradient of ReLUs, for those who send
            something back from A to pictures that require gradients.

    Raises:
        BadInput: if the target does not depend on the layer.
    """
    seen: list[tuple[Tensor, Tensor]] = []
    under = ExitStack()

    def begin_here(activation: Tensor) -> Tensor:
        under.close()
        seen.append((activation, activation.detach().requires_grad_()))
        return seen[-1][1].clone()

    with (
        torch.enable_grad(),
        replaced_activation(model.module, layer, begin_here),
        score_function(model, target) as score,
        under,
    ):
        if below is not None:
            under.enter_context(below)
        total = score(images, rows).sum()
        if not seen or not total.requires_grad:
            raise BadInput(f"{target.name} does not depend on layer {layer!r}: choose one before it")
        ((activation, leaf),) = seen
        (gradient,) = torch.autograd.grad(total, leaf)
    return activation, gradient
