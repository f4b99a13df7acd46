"""Layers with feature maps: the default layer, its activation, and the gradient of the target there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from inverter import Model
from inverter.ascent.climbed_gates import ClimbedGates
from inverter.capture.addresses import resolve
from inverter.capture.attention import read_attention
from inverter.capture.outputs import main_tensor, named_tensors
from inverter.isolation.torchscript import named_layers
from inverter_errors import BadInput
from objectives import Activations, Objective
from recipes.attribution.scoring.forward import fixed_noise, know_axes, score_function, select_targets
from recipes.attribution.scoring.replacing import replaced_activation

_CACHE: WeakKeyDictionary[nn.Module, dict[Hashable, Any]] = WeakKeyDictionary()


def _cached(model: Model, key: Hashable, compute: Callable[[], Any]) -> Any:
    """The result of a dry run, cached for a network until its modules are replaced: it costs as much as a map."""
    known, key = _CACHE.setdefault(model.module, {}), (key, *model.directions.items(), *map(id, model.module.modules()))
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
    axes = model.axes(layer, size)
    if axes is not None and not axes.ordered:
        raise BadInput(
            f"the places of layer {layer!r} do not lie on a grid over the picture (its axes are {axes}): choose "
            "another layer (`inverter layers` lists them)"
        )
    if not has_maps(shape):
        raise BadInput(
            f"layer {layer!r} outputs a tensor of shape {tuple(shape)}, expected maps (B, C, h, w) of more than one "
            "position: choose another layer (`inverter layers` lists them)"
        )


LEAST_DEPTH = 1 / 4
"""Share of the layers with weights that a default layer must follow: before it, maps show edges and colours."""


def last_map_layer(model: Model, target: Objective, size: tuple[int, int]) -> str:
    """Address of the last layer with feature maps that the target depends on.

    In a classifier that is the layer before global pooling; where a class token is read, the input of the last
    attention, after which the tokens of the patches play no part; for a target inside the network, the layer it reads;
    for one of several outputs, the last layer of its branch.

    Args:
        model: the network.
        target: the objective.
        size: (height, width) of the images.

    Raises:
        BadInput: if there is none, or only in the first quarter of the network.
    """
    passed = _cached(model, (target.reads, size), lambda: _passed_maps(model, target, size))
    if not passed.layers:
        raise BadInput(f"{model.spec} has no layer with maps before {target.label(0)}: choose a method without a layer")
    runs = list(zip(passed.layers, passed.depths, strict=True))

    def depends(layer: str) -> bool:
        return bool(_cached(model, (layer, target.reads, size), lambda: _depends(model, target.reads, layer, size)))

    layer, depth = next((run for run in reversed(runs) if depends(run[0])), runs[-1])
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
        layers: addresses of those that the target depends on, in order.
        depths: number of modules with weights of their own that had run by then, for each of them.
        weighted: number of all modules with weights that run.
        unread: addresses of layers of tokens whose places the target does not depend on, but only on other tokens.
    """

    layers: list[str] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    weighted: int = 0
    unread: set[str] = field(default_factory=set)


def _depends(model: Model, reads: Sequence[str], layer: str, size: tuple[int, int]) -> bool:
    """False if what is read goes on from another tensor of a layer's output than the main one."""
    added: list[Tensor] = []

    def replace(activation: Tensor) -> Tensor:
        added.append(torch.zeros_like(activation).requires_grad_())
        return activation + added[0]

    picture = model.normalize(torch.full((1, len(model.mean), *size), 0.5, device=model.device))
    with torch.enable_grad(), replaced_activation(model, layer, size, replace), model.capture(reads) as capture:
        read = [tensor.sum() for tensor in capture(picture).values() if tensor.requires_grad]
        return bool(read) and torch.autograd.grad(read, added, allow_unused=True)[0] is not None


@torch.enable_grad()
def _passed_maps(model: Model, target: Objective, size: tuple[int, int]) -> PassedMaps:
    """The layers with feature maps that run before the activations are read, found on a picture of noise.

    What the modules inside of an attention compute (queries, keys, values) is left out.
    """
    passed, calls, ran = PassedMaps(), Counter[str](), list[tuple[str, str, int, Tensor, list[Tensor]]]()
    know_axes(model, target, size)

    def hook(name: str) -> Callable[..., None]:
        def record(module: nn.Module, _inputs: Any, output: Any) -> None:
            passed.weighted += any(True for _ in module.parameters(recurse=False))
            if name and (tensor := main_tensor(output)) is not None:
                others = [other for other in named_tensors(output).values() if other is not tensor]
                address = f"{name}#{calls[name]}" if calls[name] else name
                ran.append((address, name, passed.weighted, tensor, others))
            calls[name] += 1

        return record

    noise = fixed_noise(model, size)
    with ExitStack() as stack:
        for name, part in named_layers(model.module).items():
            stack.callback(part.register_forward_hook(hook(name)).remove)
        attentions = stack.enter_context(read_attention(model.module))
        capture = stack.enter_context(model.capture(target.reads))
        # A latent of directions that is off on noise depends on its layer all the same.
        with ClimbedGates():
            read = capture(model.normalize(noise.requires_grad_()))
        inside = tuple(f"{each.layer}." for each in attentions)
        first = select_targets(target, torch.zeros(1, dtype=torch.long, device=model.device))
        total = -first.score(Activations(read, noise)).sum()
    apart = [other for *_, others in ran for other in others]
    gradients = _gradients(total, [*(tensor for _, _, _, tensor, _ in ran), *apart])
    read_apart = {
        id(other) for other, gradient in zip(apart, gradients[len(ran) :], strict=True) if gradient is not None
    }
    for (address, name, depth, tensor, others), gradient in zip(ran, gradients[: len(ran)], strict=True):
        axes = model.axes(address, size)
        maps = tensor if axes is None or axes.rank != tensor.ndim else axes.maps(tensor, 1, size)
        in_attention = name.startswith(inside) and address not in target.reads
        if in_attention or not has_maps(maps.shape) or (axes is not None and not axes.ordered):
            continue
        if total.requires_grad and gradient is None:
            continue  # of another output
        if any(id(other) in read_apart for other in others):
            continue  # the target passes by the maps, through another tensor of the same output (pooled inside)
        if gradient is not None and axes is not None and axes.prefix and not axes.maps(gradient, 1, size).any():
            passed.unread.add(address)
            continue
        passed.layers.append(address)
        passed.depths.append(depth)
    return passed


def _gradients(total: Tensor, tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradient of a score with respect to each of some tensors; None where it does not depend on one."""
    taking = [tensor for tensor in tensors if tensor.requires_grad] if total.requires_grad else []
    found = iter(torch.autograd.grad(total, taking, allow_unused=True)) if taking else iter(())
    return [next(found) if taking and tensor.requires_grad else None for tensor in tensors]


@torch.no_grad()
def check_runs(model: Model, target: Objective, layer: str, size: tuple[int, int]) -> None:
    """Raises a `BadInput` for a layer that does not run before the target is read, with images of `size`."""
    where = resolve(model.module, layer)

    def calls() -> int:
        count = Counter[str]()
        part = model.module.get_submodule(where.name)
        # Registered before the hooks that end the pass, so that the target's own layer counts as well.
        handle = part.register_forward_hook(lambda *_: count.update([where.name]))
        try:
            with model.capture(target.reads) as capture:
                capture(model.normalize(torch.full((1, len(model.mean), *size), 0.5, device=model.device)))
        finally:
            handle.remove()
        return count[where.name]

    know_axes(model, target, size)
    if _cached(model, (where.name, target.reads, size), calls) <= where.call:
        raise BadInput(f"{target.name} does not depend on layer {layer!r}: choose one before it")


def check_upstream(model: Model, target: Objective, layer: str, size: tuple[int, int]) -> None:
    """Raises a `BadInput` for a layer that the target does not depend on, with images of `size`.

    It does not run before the target is read; or the target reads a class token, and the layer's places come too late
    to have any part in it.
    """
    check_runs(model, target, layer, size)
    axes = model.axes(layer, size)
    if axes is None or not axes.prefix:
        return
    passed = _cached(model, (target.reads, size), lambda: _passed_maps(model, target, size))
    if layer in passed.unread:
        raise BadInput(
            f"{target.name} does not depend on the places of layer {layer!r}, but on other tokens alone: choose one "
            f"before it, such as {passed.layers[-1] if passed.layers else 'an earlier one'}"
        )


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
    size = (images.shape[2], images.shape[3])
    know_axes(model, target, size)

    def begin_here(activation: Tensor) -> Tensor:
        under.close()
        seen.append((activation, activation.detach().requires_grad_()))
        return seen[-1][1].clone()

    with (
        torch.enable_grad(),
        replaced_activation(model, layer, size, begin_here),
        score_function(model, target) as score,
        under,
    ):
        if below is not None:
            under.enter_context(below)
        total = score(images, rows).sum()
        if not seen or not total.requires_grad:
            raise BadInput(f"{target.name} does not depend on layer {layer!r}: choose one before it")
        activation, leaf = seen[-1]  # a forward pass that a network kept from ending is run twice
        (gradient,) = torch.autograd.grad(total, leaf)
    return activation, gradient
