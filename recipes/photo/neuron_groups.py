"""Groups of positions and channels that act together: non-negative matrix factorisation of a photo's activations."""

from __future__ import annotations

import colorsys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inverter_errors import BadInput, MissingLibrary

if TYPE_CHECKING:
    from torch import Tensor

ITERATIONS = 400


@dataclass(frozen=True, eq=False)
class Factors:
    """activations[c, y, x] is about the sum over k of maps[k, y, x] * directions[k, c]; both are >= 0.

    Attributes:
        maps: (K, H, W): how much of each group is where, the strongest group first.
        directions: (K, C), each of length 1 (all zero for a group that came out empty).
        error: |activations - sum| / |activations|, of their positive part.
    """

    maps: Tensor
    directions: Tensor
    error: float


def factorise(activations: Tensor, groups: int, seed: int = 0) -> Factors:
    """Factors of one photo's activations (C, H, W), as in Olah et al. 2018's neuron groups.

    What is below 0 (in layers without ReLU) counts as 0.

    Raises:
        BadInput: for more groups than there are channels or positions.
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
            f"groups {groups}: there are {channels} channels and {rows * columns} positions; expected at most {most}"
        )
    try:
        from sklearn.decomposition import NMF
        from sklearn.exceptions import ConvergenceWarning
    except ModuleNotFoundError:
        raise MissingLibrary("groups need scikit-learn: pip install 'inverter-vis[atlas]'") from None
    matrix = activations.clamp_min(0).flatten(1).T.double().numpy()  # (positions, channels)
    if not matrix.any():
        raise BadInput("groups: no activation is above 0, so there is nothing to group")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the error is told; a little more would change nothing
        model = NMF(groups, init="nndsvda", max_iter=ITERATIONS, random_state=seed)
        amounts = torch.from_numpy(model.fit_transform(matrix))
    directions = torch.from_numpy(model.components_)
    lengths = directions.norm(dim=1)
    amounts, directions = amounts * lengths, directions / lengths.clamp_min(1e-12)[:, None]
    order = amounts.sum(0).argsort(descending=True)
    amounts, directions = amounts[:, order], directions[order]
    wanted = torch.from_numpy(matrix)
    error = float((wanted - amounts @ directions).norm() / wanted.norm())
    return Factors(amounts.T.reshape(groups, rows, columns).float(), directions.float(), error)


def colours(count: int) -> list[str]:
    """So many colours that can be told apart, as `#rrggbb`, of equal steps in hue.

    Example:
        >>> colours(2)
        ['#e63d3d', '#3de6e6']
    """
    parts = [colorsys.hsv_to_rgb(i / count, 0.735, 0.9) for i in range(count)]
    return ["#" + "".join(f"{round(255 * part):02x}" for part in rgb) for rgb in parts]
