"""Codes: a target activation, the distance of a picture's activation from it, and its exaggeration."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, Literal, get_args

from torch import Tensor
from torch.nn import functional as F

from inverter_errors import BadInput, plural
from objectives.base import Activations, Objective
from objectives.targets import Targets


def _l2(code: Tensor, target: Tensor) -> Tensor:
    return (code - target).square().sum(1) / target.square().sum(1)


def _l1(code: Tensor, target: Tensor) -> Tensor:
    return (code - target).abs().sum(1) / target.abs().sum(1)


def _cosine(code: Tensor, target: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(code, target, dim=1)


Distance = Literal["l2", "cosine", "l1"]
"""A distance between codes: relative squared L2, 1 - cosine similarity, or relative L1."""

DISTANCES: Final[tuple[Distance, ...]] = get_args(Distance)

_MEASURES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {"l2": _l2, "cosine": _cosine, "l1": _l1}
"""By name: (B, n) codes and (B, n) or (1, n) targets to (B,) dimensionless distances, 0 where they are equal."""


def code(layer: str, target: Tensor, distance: Distance = "l2", names: Sequence[str] | None = None) -> Objective:
    """Minus the distance to a code: -|Phi(x) - Phi0|^2 / |Phi0|^2 (Mahendran & Vedaldi 2015, eq. 1 and 2).

    The division by the norm of the code makes scores comparable between layers: 0 is a perfect match, -1 no better
    than an activation of zeros. Several layers at once: `code("a", one) + 0.5 * code("b", other)`.

    Args:
        layer: address of any layer that outputs a tensor (B, ...); "" is the model's output.
        target: (N, ...), one code for each image, or a single one (1, ...) for all, as `inverter.encode` returns them.
        distance: `l2` (squared, eq. 2), `l1` (|Phi - Phi0|_1 / |Phi0|_1) or `cosine` (1 - cosine, scale-invariant).
        names: names of the codes for their labels; by default their indices. The random draws of a unit depend on its
            label, and the bits of a code may differ in a batch of another size.

    Returns:
        The objective, with one target for each code and scores <= 0.

    Raises:
        BadInput: for an unknown distance, a target without a batch dimension, one that is not finite or all zero, or
            a wrong number of names; when scored, for targets of another shape than the activation's.
        NotFound: when scored, if the layer was not captured.

    Example:
        >>> import torch
        >>> code("conv", torch.tensor([[3.0, 4.0]])).score(Activations({"conv": torch.tensor([[3.0, 3.0]])}))
        tensor([-0.0400])
    """
    if distance not in DISTANCES:
        raise BadInput(f"code: unknown distance {distance!r}; expected one of {', '.join(DISTANCES)}")
    measure = _MEASURES[distance]
    return _compared("code", layer, target, names, lambda code, target: -measure(code, target), distance)


def caricature(layer: str, target: Tensor, power: float = 1, names: Sequence[str] | None = None) -> Objective:
    """A code, exaggerated: dot / |Phi0|^2 * max(.1, cos)^power over the entire code (Lucid's `dot_compare`).

    A picture that maximises it has more of all that the layer finds in a photograph, each thing at its place (Olah,
    "caricatures", Lucid issue 121). The photograph itself scores 1; a picture whose code is twice as long in the same
    direction scores 2. The power weighs the direction against the length.

    Args:
        layer: address of any layer that outputs a tensor (B, ...).
        target: (N, ...), one code for each image, or a single one (1, ...) for all, as `inverter.encode` returns them.
        power: exponent of the cosine, >= 0.
        names: names of the codes for their labels, as in `code`.

    Returns:
        The objective, with one target for each code.

    Raises:
        BadInput: for a negative power, and as `code`.
        NotFound: when scored, if the layer was not captured.

    Example:
        >>> import torch
        >>> caricature("conv", torch.tensor([[3.0, 4.0]])).score(Activations({"conv": torch.tensor([[6.0, 8.0]])}))
        tensor([2.])
    """
    if power < 0:
        raise BadInput(f"caricature: power must be >= 0, got {power}")

    def exaggeration(code: Tensor, target: Tensor) -> Tensor:
        cosine = F.cosine_similarity(code, target, dim=1).clamp_min(0.1)
        return (code * target).sum(1) / target.square().sum(1) * cosine**power

    return _compared("caricature", layer, target, names, exaggeration, power)


def _targets(kind: str, layer: str, target: Tensor, names: Sequence[str] | None) -> tuple[Tensor, list[str]]:
    """Codes (N, ...) and their names, checked."""
    if target.ndim < 2 or not target.numel():
        raise BadInput(f"{kind}: expected targets (N, ...), one code for each image, got shape {tuple(target.shape)}")
    targets = target.detach().float()
    names = [str(i) for i in range(len(targets))] if names is None else list(names)
    if len(names) != len(targets):
        got = f"{plural(len(names), 'name')} for {plural(len(targets), 'target')}"
        raise BadInput(f"{kind}: got {got}; expected one for each")
    for name, one in zip(names, targets, strict=True):
        if not bool(one.isfinite().all()):
            raise BadInput(f"{kind}: target {name} for layer {layer!r} is not finite")
        if not bool(one.norm() > 0):  # of numbers below 1e-23 the squares are zero as well
            raise BadInput(
                f"{kind}: target {name} for layer {layer!r} is all zero, so that a relative distance is undefined"
            )
    return targets, names


def _compared(
    kind: str,
    layer: str,
    target: Tensor,
    names: Sequence[str] | None,
    measure: Callable[[Tensor, Tensor], Tensor],
    option: Hashable,
) -> Objective:
    """A measure of (B, n) codes and (B, n) or (1, n) targets, (B,), which has one option, as an objective."""
    targets, names = _targets(kind, layer, target, names)
    on = Targets(targets)

    def score(activations: Activations) -> Tensor:
        activation = activations[layer]
        expected = activations.pick(on(activation.device))
        if expected.shape[1:] != activation.shape[1:]:
            raise BadInput(
                f"the target has shape {tuple(targets.shape[1:])}, but layer {layer!r} outputs "
                f"{tuple(activation.shape[1:])} for a picture of this size: use the layer and size it was made with"
            )
        if expected.shape[0] not in (1, activation.shape[0]):
            raise BadInput(
                f"{plural(expected.shape[0], 'target')} for a batch of {plural(activation.shape[0], 'image')}: "
                "give one target, or one per image"
            )
        return measure(activation.float().flatten(1), expected.flatten(1))

    labels = tuple(f"{kind}({layer}:{name})" for name in names)
    return Objective(f"{kind}({layer})", (layer,), score, labels, form=(kind, layer, option), targets=(on,))
