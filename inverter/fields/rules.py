"""What each tensor operation does to receptive fields. One that is not listed here makes them unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor

from inverter.fields.geometry import EVERYTHING, FULL, Axis, ReceptiveField


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POINTWISE = _names(
    "abs acos acosh add addcdiv addcmul alias angle asin asinh atan atan2 atanh bernoulli bitwise_and bitwise_not "
    "bitwise_or bitwise_xor ceil celu clamp clamp_max clamp_min clone contiguous copy cos cosh detach div dropout elu "
    "eq erf erfc exp exp2 expm1 fill floor fmax fmin frac ge gelu glu gt hardshrink hardsigmoid hardswish hardtanh "
    "heaviside isfinite isinf isnan le leaky_relu lerp lift_fresh log log10 log1p log2 log_sigmoid log_sigmoid_forward "
    "logical_and logical_not logical_or logical_xor lt masked_fill maximum minimum mish mul nan_to_num native_dropout "
    "ne neg positive pow prelu _prelu_kernel reciprocal relu relu6 remainder round rrelu_with_noise rsqrt rsub "
    "selu sgn sigmoid sign silu sin sinh softplus softshrink sqrt square sub tan tanh threshold _to_copy trunc "
    "where xlogy zero"
)
"""Operations whose output at a position depends on their inputs at this position alone."""
_RESHAPING = {"view", "_unsafe_view", "reshape", "_reshape_alias", "expand", "repeat", "squeeze", "unsqueeze"}
"""Pointwise where the last two of four dimensions stay; those of one or two dimensions see all."""
_ALONG = {"cat": 1, "split": 2, "split_with_sizes": 2, "chunk": 2, "index_select": 1, "_softmax": 1, "_log_softmax": 1}
"""Operation -> place of the argument that names a dimension: pointwise if it is the batch or the channels."""
_REDUCING = {"mean", "sum", "amax", "amin", "max", "min", "var", "std", "var_mean", "logsumexp", "linalg_vector_norm"}
"""Operation over the dimensions of its first argument with numbers, or over all."""
_RESIZING = _names(
    "_adaptive_avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d upsample_nearest2d _upsample_nearest_exact2d "
    "upsample_bilinear2d"
)
"""Operations to a size that is given: the identity for their input's own, and a look at everything for 1x1."""
_BATCH_NORM = _names(
    "_batch_norm_no_update batch_norm cudnn_batch_norm miopen_batch_norm native_batch_norm _native_batch_norm_legit "
    "_native_batch_norm_legit_no_training"
)
"""Pointwise with fixed statistics."""
_LINEAR = {"mm", "addmm", "linear", "t", "transpose", "permute", "bmm", "baddbmm", "dot", "mv", "addmv"}
"""Operations on vectors, whose inputs see all already."""
CONSTANT = _names(
    "empty_like full_like new_empty new_empty_strided new_full new_ones new_zeros ones_like rand_like randint_like "
    "randn_like zeros_like"
)
"""Operations that read the shape of a tensor and not its values."""


def output_field(
    name: str, args: Sequence[Any], known: Sequence[Tensor], fields: Sequence[ReceptiveField | None], output: Tensor
) -> ReceptiveField | None:
    """The receptive field of an operation's output; None if it is unknown.

    Args:
        name: of the operation in aten, without the `_` of its in-place form.
        args: its positional arguments.
        known: the tensors among them that depend on the picture.
        fields: their receptive fields.
        output: its first output.
    """
    before = [each for each in fields if each is not None]
    if len(before) < len(fields):
        return None
    if all(each == EVERYTHING for each in before):
        return EVERYTHING
    if (windows := _sliding(name, args)) is not None:
        if len(known) > 1 or known[0] is not args[0]:  # weights that were computed from the picture
            return None
        (of_y, of_x), (y, x) = zip(*windows, strict=True), before[0]
        return ReceptiveField(y.through(*of_y), x.through(*of_x))
    if min(output.ndim, *(t.ndim for t in known)) <= 2:
        # A vector, as of a linear layer, depends on the full picture.
        return EVERYTHING if name in _POINTWISE | _RESHAPING | _REDUCING | _LINEAR | set(_ALONG) else None
    ranks = {output.ndim, *(t.ndim for t in known)}
    if ranks in ({5}, {4, 5}):
        return _union(before) if _of_channels(name, args, known, output) else None
    if ranks != {4}:
        return None  # maps that are reshaped to 3 dimensions are not traced
    return _of_maps(name, args, known, before, output)


def _of_maps(
    name: str, args: Sequence[Any], known: Sequence[Tensor], before: list[ReceptiveField], output: Tensor
) -> ReceptiveField | None:
    y, x = before[0]
    if name == "slice":
        axis = (args[1] if len(args) > 1 else 0) % 4
        start, step = (args[2] if len(args) > 2 else 0) or 0, args[4] if len(args) > 4 else 1
        start = max(start + known[0].shape[axis], 0) if start < 0 else start
        if axis < 2:
            return before[0]
        return ReceptiveField(y.shifted(start, step), x) if axis == 2 else ReceptiveField(y, x.shifted(start, step))
    if name == "constant_pad_nd":
        left, top = args[1][0], args[1][2] if len(args[1]) > 2 else 0
        return ReceptiveField(y.shifted(-top), x.shifted(-left))
    if name in _REDUCING and not any(isinstance(arg, Tensor) for arg in args[1:]):
        axes = _dimensions(args)
        return ReceptiveField(FULL if 2 in axes else y, FULL if 3 in axes else x)
    if name in ("permute", "transpose"):
        order = list(range(4))
        if name == "permute":
            order = [axis % 4 for axis in args[1]]
        else:
            one, other = args[1] % 4, args[2] % 4
            order[one], order[other] = other, one
        return before[0] if order[2:] == [2, 3] else None
    if name in _RESIZING and output.shape[2:] == (1, 1):
        return EVERYTHING
    stays = all(t.shape[2:] == output.shape[2:] for t in known)
    broadcast = all(
        t.shape[2:] == output.shape[2:] or (t.shape[2:] == (1, 1) and field == EVERYTHING)
        for t, field in zip(known, before, strict=True)
    )
    if name in _POINTWISE | _RESHAPING | {"max", "min"} and broadcast:
        return _union(before)
    if name in _RESIZING and stays:
        return before[0]
    if name in _ALONG and stays:
        place = _ALONG[name]
        return _union(before) if (args[place] if len(args) > place else 0) % 4 < 2 else None
    return before[0] if name in _BATCH_NORM and stays and len(known) == 1 and not _by_batch(name, args) else None


def _of_channels(name: str, args: Sequence[Any], known: Sequence[Tensor], output: Tensor) -> bool:
    """True if an operation on (B, 1, C, H, W) works on the channels alone, as local response normalisation does."""
    if any(t.shape[-2:] != output.shape[-2:] for t in known):
        return False
    if name == "constant_pad_nd":
        return not any(args[1][:4])
    return name in _POINTWISE | _RESHAPING or (name == "avg_pool3d" and list(args[1][1:]) == [1, 1])


def _dimensions(args: Sequence[Any]) -> set[int]:
    """The dimensions that a reduction of a tensor with four runs over: all, unless they are named."""
    named = next((arg for arg in args[1:] if isinstance(arg, list | tuple | int) and not isinstance(arg, bool)), None)
    axes = {named} if isinstance(named, int) else set(named or range(4))
    return {axis % 4 for axis in axes}


def _by_batch(name: str, args: Sequence[Any]) -> bool:
    """Whether a normalisation takes the statistics of its input, as instance normalisation does."""
    if name in ("_native_batch_norm_legit_no_training", "_batch_norm_no_update"):
        return False
    flags = [arg for arg in args if isinstance(arg, bool)]
    return bool(flags[0]) if flags else True


def _union(found: Iterable[ReceptiveField]) -> ReceptiveField | None:
    """The receptive field of a sum or a concatenation of branches; None (unknown) if their strides differ."""
    axes = []
    for fields in zip(*found, strict=True):
        if FULL in fields:
            axes.append(FULL)
        elif len({field.stride for field in fields}) > 1:
            return None
        else:
            axes.append(Axis(fields[0].stride, min(f.low for f in fields), max(f.high for f in fields)))
    return ReceptiveField(axes[0], axes[1])


def _pair(value: Any, default: int) -> tuple[int, int]:
    numbers = list(value) or [default]
    return numbers[0], numbers[-1]


def _sliding(name: str, args: Sequence[Any]) -> list[tuple[int, int]] | None:
    """Kernel, stride, padding and dilation, each along (y, x), of a convolution or pooling; None for all others."""
    if name == "convolution" and not args[6] and args[1].ndim == 4:  # not transposed
        kernel = args[1].shape[2:]
        return [(kernel[0], kernel[-1]), _pair(args[3], 1), _pair(args[4], 0), _pair(args[5], 1)]
    if name in ("max_pool2d_with_indices", "max_pool2d"):
        kernel, stride, padding, dilation = (*args[1:5], [], [], [])[:4]  # defaults are left out of args
        return [_pair(kernel, 1), _pair(stride or kernel, 1), _pair(padding, 0), _pair(dilation, 1)]
    if name == "avg_pool2d":
        stride = args[2] if len(args) > 2 and args[2] else args[1]
        padding = args[3] if len(args) > 3 else [0]
        return [_pair(args[1], 1), _pair(stride, 1), _pair(padding, 0), (1, 1)]
    return None
