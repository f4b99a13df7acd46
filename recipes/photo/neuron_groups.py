"""Neuron groups: non-negative matrix factorisation of a photo's activations (Olah et al. 2018)."""

from __future__ import annotations

import colorsys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inverter_errors import BadInput, MissingLibrary, plural

if TYPE_CHECKING:
    from torch import Tensor

ITERATIONS = 400
"""Of the factorisation, at most."""


@dataclass(frozen=True, eq=False)
class Factors:
    """A factorisation activations[c, y, x] ~ sum_k maps[k, y, x] * directions[k, c], with non-negative factors.

    Attributes:
        maps: the strength of each group at each position, (K, H, W), the strongest group first.
        directions: the channels of each group, (K, C), of norm 1 (all zero for an empty group).
        error: relative error |activations - sum| / |activations|, of the positive part of the activations.
    """

    maps: Tensor
    directions: Tensor
    error: float


def factorise(activations: Tensor, groups: int, seed: int = 0) -> Factors:
    """Factorises a photo's activations into neuron groups (Olah et al. 2018).

    Negative activations (of layers without ReLU) count as 0.

    Args:
        activations: (C, H, W).
        groups: number K of groups.
        seed: of the initialisation.

    Returns:
        The factors.

    Raises:
        BadInput: for more groups than channels or positions, or activations without a positive value.
        MissingLibrary: without scikit-learn.

    Example:
        >>> import torch
        >>> factorise(torch.eye(2).reshape(2, 1, 2), 2).maps.shape
        torch.Size([2, 1, 2])
    """
    import torch

    channels, rows, columns = activations.shape
    if groups > (most := min(channels, rows * columns)):
        raise BadInput(
            f"groups {groups}: there are {plural(channels, 'channel')} and "
            f"{plural(rows * columns, 'position')}; expected at most {most}"
        )
    try:
        from sklearn.decomposition import NMF
        from sklearn.exceptions import ConvergenceWarning
    except ModuleNotFoundError:
        raise MissingLibrary("groups need scikit-learn: pip install 'inverter-vis[atlas]'") from None
    matrix = activations.clamp_min(0).flatten(1).T.double().numpy()  # (positions, channels)
    if not matrix.any():
        raise BadInput("groups: no activation of this layer is above 0; choose another layer or photo")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the error is recorded; more iterations hardly change it
        model = NMF(groups, init="nndsvda", max_iter=ITERATIONS, random_state=seed)
        amounts = torch.from_numpy(model.fit_transform(matrix))
    directions = torch.from_numpy(model.components_)
    lengths = directions.norm(dim=1)
    amounts, directions = amounts * lengths, directions / lengths.clamp_min(1e-12)[:, None]
    order = amounts.sum(0).argsort(descending=True)
    amounts, directions = amounts[:, order], directions[order]
    target = torch.from_numpy(matrix)
    error = float((target - amounts @ directions).norm() / target.norm())
    return Factors(amounts.T.reshape(groups, rows, columns).float(), directions.float(), error)


def colours(count: int) -> list[str]:
    """Distinct colours, at equal steps of hue.

    Args:
        count: number of colours.

    Returns:
        `#rrggbb` of each.

    Example:
        >>> colours(2)
        ['#e63d3d', '#3de6e6']
    """
    parts = [colorsys.hsv_to_rgb(i / count, 0.735, 0.9) for i in range(count)]
    return ["#" + "".join(f"{round(255 * part):02x}" for part in rgb) for rgb in parts]
