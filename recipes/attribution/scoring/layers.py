"""Layers with feature maps: the default layer, its activation, and the gradient of the target there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from inverter import Model
from inverter.capture import check_address, split_address
from inverter.torchscript import named_layers
from inverter_errors import BadInput
from objectives import Objective
from recipes.attribution.scoring.forward import score_function

_CACHE: WeakKeyDictionary[nn.Module, dict[Hashable, Any]] = WeakKeyDictionary()


def _cached(model: Model, key: Hashable, compute: Callable[[], Any]) -> Any:
    """The result of a dry run, cached for a network until its modules are replaced: it costs as much as a map."""
    known, key = _CACHE.setdefault(model.module, {}), (key, *map(id, model.module.modules()))
    if key not in known:
        known[key] = compute()
    return known[key]


def has_maps(shape: torch.Size) -> bool:
    """True for (B, C, h, w) with more than one position."""
    return len(shape) == 4 and shape[2] * shape[3] > 1


def check_maps(model: Model, layer: str, size: tuple[int, int]) -> None:
    """Raises a `NotFound` for an unknown layer, a `BadInput` for a layer without feature maps."""
    model.check_layer(layer)
    shape = _cached(model, (layer, size), lambda: model.shapes([layer], size)[layer])
    if not has_maps(shape):
        raise BadInput(
            f"layer {layer!r} outputs a tensor of shape {tuple(shape)}, expected maps (B, C, h, w) of more than one "
            "position: choose another layer (`inverter layers` lists them)"
        )


LEAST_DEPTH = 1 / 4
"""Share of the layers with weights that a default layer must follow: before it, maps show edges and colours."""


def last_map_layer(model: Model, target: Objective, size: tuple[int, int]) -> str:
    """Address of the last layer with feature maps that runs before the target is read.

    In a classifier that is the layer before global pooling; for a target inside the network, the layer that it reads.

    Args:
        model: the network.
        target: the objective.
        size: (height, width) of the images.

    Raises:
        BadInput: if there is none, or only in the first quarter of the network, as in a vision transformer with a
            convolutional patch embedding.
    """
    passed = _cached(model, (target.reads, size), lambda: _passed_maps(model, target.reads, size))
    if not passed.layers:
        raise BadInput(f"{model.spec} has no layer with maps before {target.label(0)}: choose a method without a layer")
    layer, depth = passed.layers[-1], passed.depths[-1]
    if depth < LEAST_DEPTH * passed.weighted:
        raise BadInput(
            f"the last layer of {model.spec} with maps is {layer!r}, after {depth} of {passed.weighted} layers with "
            "weights, too early to stand for what the network sees: name a layer, or choose a method without one"
        )
    return layer


@dataclass
class PassedMaps:
    """The layers with feature maps that run in a forward pass.

    Attributes:
        layers: their addresses, in order.
        depths: number of modules with weights of their own that had run by then, for each layer.
        weighted: number of all modules with weights that run.
    """

    layers: list[str] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    weighted: int = 0


@torch.no_grad()
def _passed_maps(model: Model, reads: Sequence[str], size: tuple[int, int]) -> PassedMaps:
    """The layers with feature maps that run before the activations are read.

    What a module computes from tokens (B, N, C) inside of it is no map, even if it has four dimensions: queries, keys
    and attention weights are (B, heads, N, ...).
    """
    passed, calls = PassedMaps(), Counter[str]()
    of_tokens: list[bool] = []  # for each module that is running

    def begin(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        first = inputs[0] if inputs else None
        of_tokens.append(isinstance(first, Tensor) and first.ndim == 3)

    def hook(name: str) -> Callable[..., None]:
        def record(module: nn.Module, _inputs: Any, output: Any) -> None:
            of_tokens.pop()
            passed.weighted += any(True for _ in module.parameters(recurse=False))
            if isinstance(output, Tensor) and has_maps(output.shape) and name and not any(of_tokens):
                passed.layers.append(f"{name}#{calls[name]}" if calls[name] else name)
                passed.depths.append(passed.weighted)
            calls[name] += 1

        return record

    with ExitStack() as stack:
        for name, part in named_layers(model.module).items():
            stack.callback(part.register_forward_pre_hook(begin).remove)
            stack.callback(part.register_forward_hook(hook(name)).remove)
        with model.capture(reads) as capture:
            capture(model.normalize(torch.full((1, len(model.mean), *size), 0.5, device=model.device)))
    return passed


@torch.no_grad()
def check_upstream(model: Model, target: Objective, layer: str, size: tuple[int, int]) -> None:
    """Raises a `BadInput` for a layer that does not run before the target is read, with images of `size`."""
    name, call = split_address(layer)

    def calls() -> int:
        count = Counter[str]()
        part = model.module.get_submodule(name)
        # Registered before the hooks that end the pass, so that the target's own layer counts as well.
        handle = part.register_forward_hook(lambda *_: count.update([name]))
        try:
            with model.capture(target.reads) as capture:
                capture(model.normalize(torch.full((1, len(model.mean), *size), 0.5, device=model.device)))
        finally:
            handle.remove()
        return count[name]

    if _cached(model, (name, target.reads, size), calls) <= call:
        raise BadInput(f"{target.name} does not depend on layer {layer!r}: choose one before it")


@contextmanager
def replaced_activation(module: nn.Module, layer: str, replace: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """A context in which forward passes continue from `replace(activation)` instead of a layer's activation.

    Enter it before `score_function` or `Model.capture`: a target that reads the same layer then reads the replacement.
    The network is not frozen by this context.

    Args:
        module: the network.
        layer: an address; `name#k` is the k-th call of a module in a forward pass.
        replace: the layer's activation -> a tensor of the same shape; it is called once in every forward pass.

    Raises:
        NotFound: for an unknown layer.
        BadInput: in the forward pass, for a layer whose output is not a tensor.
    """
    check_address(module, layer)
    name, call = split_address(layer)
    calls = Counter[str]()

    def begin(_module: nn.Module, _inputs: Any) -> None:
        calls.clear()

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        calls[name] += 1
        if calls[name] - 1 != call:
            return None
        if not isinstance(output, Tensor) or not output.is_floating_point():
            kind = f"a tensor of {output.dtype}" if isinstance(output, Tensor) else type(output).__name__
            raise BadInput(f"layer {layer!r} outputs {kind}, expected a tensor of real numbers: choose another layer")
        return replace(output)

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
    """A layer's activation A and the gradient of the score with respect to it, dS/dA, both (N, C, h, w).

    The backward pass ends at the layer. In-place operations after it do not overwrite A.

    Args:
        model: the network.
        images: (N, 3, H, W) in [0, 1].
        target: the objective.
        layer: address of the layer.
        rows: (N,) of the images' targets; None scores image i by target i.
        below: a context for the forward pass up to the layer that changes the gradient of ReLUs, for callers that
            backpropagate from A to images that require gradients.

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
        activation, leaf = seen[-1]  # of the last forward pass, if a network made the first one run again
        (gradient,) = torch.autograd.grad(total, leaf)
    return activation, gradient
