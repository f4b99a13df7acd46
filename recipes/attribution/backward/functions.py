"""Which kind of operation a torch function is, by its name: what rules of the backward pass go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from inverter.ascent.folding import fixed_statistics

KINDS: dict[str, str] = {
    **dict.fromkeys(("relu", "relu6", "hardtanh", "leaky_relu", "rrelu", "elu", "selu", "celu"), "elementwise"),
    **dict.fromkeys(("silu", "mish", "gelu", "hardswish", "softplus", "softsign", "prelu"), "elementwise"),
    **dict.fromkeys(("sigmoid", "hardsigmoid", "logsigmoid", "tanh", "tanhshrink", "threshold"), "elementwise"),
    **dict.fromkeys(("hardshrink", "softshrink", "clamp", "clip", "clamp_min", "clamp_max"), "elementwise"),
    **dict.fromkeys(("abs", "absolute", "square", "pow", "__pow__", "__ipow__", "__rpow__", "sqrt"), "elementwise"),
    **dict.fromkeys(("rsqrt", "exp", "expm1", "log", "log1p", "erf", "sin", "cos", "atan", "sign"), "elementwise"),
    **dict.fromkeys(("reciprocal", "__rdiv__", "__rtruediv__", "nan_to_num", "log_sigmoid"), "elementwise"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "linear"), "weighted"),
    **dict.fromkeys(("avg_pool2d", "adaptive_avg_pool2d", "mean"), "mean"),
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__"), "add"),
    **dict.fromkeys(("mul", "multiply", "__mul__", "__rmul__", "__imul__"), "multiply"),
    **dict.fromkeys(("div", "divide", "true_divide", "__truediv__", "__itruediv__", "__div__", "__idiv__"), "quotient"),
    **dict.fromkeys(("matmul", "bmm", "mm", "__matmul__"), "product"),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d", "amax", "max", "maximum", "fmax"), "maximum"),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"), "maximum"),
    **dict.fromkeys(("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"), "maximum"),
    **dict.fromkeys(("amin", "min", "minimum", "fmin"), "minimum"),
    **dict.fromkeys(("group_norm", "layer_norm", "instance_norm", "rms_norm", "normalize"), "normalisation"),
    **dict.fromkeys(("softmax", "local_response_norm"), "normalisation"),
    "scaled_dot_product_attention": "attention",
    "batch_norm": "batch_norm",
}
"""Name of a function, without the `_` of its in-place form -> the kind of rule that handles it."""

_LINEAR = frozenset(
    """
    __add__ __get__ __getitem__ __iadd__ __isub__ __neg__ __radd__ __rsub__ __setitem__ __sub__ add
    as_strided broadcast_tensors broadcast_to cat chunk clone concat concatenate contiguous copy cpu cuda detach
    diagonal double dstack expand expand_as flatten flip float fold gather half bfloat16 hsplit hstack
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d avg_pool3d dropout dropout1d
    dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout identity index_select interpolate
    masked_fill masked_select mean moveaxis movedim narrow neg negative pad permute pixel_shuffle pixel_unshuffle
    positive ravel real repeat repeat_interleave requires_grad reshape reshape_as roll rot90 rsub scatter select split
    split_with_sizes squeeze stack sub subtract sum swapaxes swapdims t take_along_dim tensor_split tile to transpose
    tril triu type type_as unbind unflatten unfold unsqueeze upsample view view_as vsplit vstack where cumsum
    """.split()  # noqa: SIM905
)
_LINEAR_IN_FIRST = frozenset(
    """
    __div__ __idiv__ __itruediv__ __truediv__ div divide true_divide conv1d conv2d conv3d linear grid_sample lerp
    conv_transpose1d conv_transpose2d conv_transpose3d
    """.split()  # noqa: SIM905
)
_LINEAR_IN_ONE = frozenset(
    """
    __imul__ __matmul__ __mul__ __rmul__ __rmatmul__ mul multiply matmul mm bmm mv dot inner einsum addmm baddbmm
    """.split()  # noqa: SIM905
)
CHOICES = frozenset({"where", "masked_fill", "multiply", "mul", "__mul__", "__rmul__", "__imul__"})
"""Elementwise functions, linear for a given mask; the reference may have another mask."""


def kind_of(name: str) -> str:
    """The kind of a function by its name; "" for one without a kind."""
    return KINDS.get(name) or KINDS.get(name.rstrip("_"), "")


def has_mask(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call chooses by a tensor that is computed, but has no gradient."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    computed = any(not each.requires_grad and not isinstance(each, nn.Parameter) and each.ndim for each in tensors)
    return computed and (name in CHOICES or name.rstrip("_") in CHOICES)


def differentiable(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors among the arguments, however they are nested, that require a gradient."""
    return [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.requires_grad]


def is_linear(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call is linear in the tensors that require a gradient, up to a constant: it needs no rule."""
    plain = name if name.startswith("__") else name.rstrip("_")
    if plain == "batch_norm":
        return fixed_statistics(*args, **kwargs) is not None
    if plain in _LINEAR:
        return True
    if plain in _LINEAR_IN_ONE:
        return len(differentiable(args, kwargs)) == 1
    inputs = differentiable(args, kwargs) if plain in _LINEAR_IN_FIRST else []
    return len(inputs) == 1 and (not args or inputs[0] is args[0])
