"""Torch's functions of attention, operation by operation, so that what they compute on the way can be seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def explicit_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor]:
    """What `scaled_dot_product_attention` computes, operation by operation.

    Args:
        query: (..., N, E).
        key: (..., M, E).
        value: (..., M, D).
        attn_mask: added to the scores (..., N, M); of bools: True where a place may be attended to.
        dropout_p: as there; it is ignored, since networks run in eval mode.
        is_causal: whether a place attends to itself and to earlier ones only.
        scale: of the scores; by default 1 / sqrt(E).
        enable_gqa: whether several heads of the query share one of key and value.

    Returns:
        The weights softmax(query key^T scale + mask), (..., N, M), and the output, weights times value, (..., N, D).

    Example:
        >>> q, k, v = torch.randn(3, 1, 2, 5, 4)
        >>> fused = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        >>> torch.allclose(explicit_attention(q, k, v, is_causal=True)[1], fused, atol=1e-5)
        True
    """
    if enable_gqa:
        shared = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(shared, -3), value.repeat_interleave(shared, -3)
    scores = torch.matmul(query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale), key.mT)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = scores.softmax(-1)
    return weights, torch.matmul(weights, value)


_MULTI_HEAD = F.multi_head_attention_forward
_opened = FunctionType(
    _MULTI_HEAD.__code__, {**vars(F), "has_torch_function": lambda _tensors: False}, _MULTI_HEAD.__name__
)
_opened.__defaults__, _opened.__kwdefaults__ = _MULTI_HEAD.__defaults__, _MULTI_HEAD.__kwdefaults__


def opened(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose operations a `TorchFunctionMode` can see, if it re-enters itself for the call.

    A mode receives `multi_head_attention_forward` as one call, and would receive it again and again from inside.

    Args:
        function: as a mode receives it.

    Returns:
        The same computation without that check; the function itself if it is another one.
    """
    return _opened if function is _MULTI_HEAD else function
