"""Classes: the logit or the log-probability of one class at the model's output."""

from __future__ import annotations

import torch
from torch import Tensor

from objectives.base import OUTPUT, Activations, Objective, as_targets
from objectives.targets import Targets
from objectives.units import Index, as_map, check_channels, select_channels


def logit(target: Index, output: str = OUTPUT) -> Objective:
    """The score of a class before the softmax (Simonyan et al. 2014, eq. 1: class model).

    Args:
        target: class index, or one per image. An output (B, K, H, W) is averaged over its positions, one of
            a single number (B,) is that of class 0.
        output: address of the output; `output:NAME` where the network returns several tensors.

    Returns:
        The objective, with one target for each class index.

    Raises:
        BadType: for an index that is not an integer.
        BadInput: for a negative index or none at all; when scored, if the output is not (B, K), (B, K, H, W) or (B,).
        NotFound: when scored, if the model has fewer classes (an `IndexError` as well).

    Example:
        >>> logit(1).score(Activations({OUTPUT: torch.tensor([[1.0, 5.0]])}))
        tensor([5.])
    """
    return _of_output("logit", target, output, log_probability=False)


def softmax(target: Index, output: str = OUTPUT) -> Objective:
    """The log-probability of a class after the softmax (discussed by Simonyan et al. 2014, section 2).

    It is optimised in log space: the gradient of the probability p is p (1 - p) per logit, which vanishes where an
    optimisation starts (p = 0), while that of log p is 1 - p, which vanishes only at the goal (p = 1).

    Args:
        target: class index, or one per image. An output (B, K, H, W) is averaged over its positions first.
        output: address of the output; `output:NAME` where the network returns several tensors.

    Returns:
        The objective, with one target for each class index and scores <= 0.

    Raises:
        BadType: for an index that is not an integer.
        BadInput: for a negative index or none at all; when scored, if the output is not (B, K), (B, K, H, W) or (B,).
        NotFound: when scored, if the model has fewer classes (an `IndexError` as well).

    Example:
        >>> softmax(0).score(Activations({OUTPUT: torch.zeros(1, 4)})).exp()
        tensor([0.2500])
    """
    return _of_output("softmax", target, output, log_probability=True)


def _of_output(name: str, target: Index, where: str, log_probability: bool) -> Objective:
    classes = as_targets(target, f"class of {name}")
    targets, highest = Targets(classes), classes.max()

    def score(activations: Activations) -> Tensor:
        output = as_map(activations[where], where).float().mean((2, 3))
        check_channels(highest, output.shape[1], where)
        if log_probability:
            output = torch.log_softmax(output, dim=1)
        return select_channels(output[:, :, None, None], activations.pick(targets(output.device)), where).mean((1, 2))

    place = f"{where}:" if where else ""
    labels = tuple(f"{name}({place}{c})" for c in classes.tolist())
    return Objective(name, (where,), score, labels, form=(name, where), targets=(targets,))
