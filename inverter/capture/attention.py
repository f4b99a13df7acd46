"""Attention: the weights and the output of each head, in whichever way a network computes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from inverter.ascent.relu_spellings import function_name
from inverter.capture.attention_functions import explicit_attention, opened
from inverter.capture.axes import CLASS_TOKEN, Axes
from inverter.isolation.torchscript import named_layers
from inverter_errors import BadInput, OutOfRange

WEIGHTS = "attention"
"""Name of the tensor of attention weights in an address: `blocks.3.attn:attention`."""
HEAD = re.compile(r"head\.(\d+)")
"""Name of the output of one head in an address: `blocks.3.attn:head.2`."""
_PRODUCTS = ("matmul", "__matmul__", "bmm")


@dataclass(eq=False)
class Attention:
    """One attention that ran in a forward pass.

    Attributes:
        layer: address of the innermost module that ran it.
        inside: (name, call) of all modules that it ran in, from the network itself to `layer`.
        weights: (B, heads, N, M), how much each of N places takes of each of M; rows sum to 1. Of attention within
            windows, the first axis counts the windows of all pictures.
        output: (B, heads, N, D), the values averaged by the weights; None before they are.
    """

    layer: str
    inside: tuple[tuple[str, int], ...]
    weights: Tensor
    output: Tensor | None = None


class _Reader(TorchFunctionMode):
    """Records each attention; a fused one is computed operation by operation, so that its weights have gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Attention] = []
        self.batch = 0  # number of pictures
        self.running: list[tuple[str, int]] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, function_name(function)
        if (inside := opened(function)) is not function:
            with self:
                return inside(*args, **kwargs)
        if name == "scaled_dot_product_attention":
            with self:
                return explicit_attention(*args, **kwargs)[1]
        result = function(*args, **kwargs)
        if name == "softmax":
            return self._weights(result, args[1] if len(args) > 1 else kwargs.get("dim"))
        waiting = self.found[-1] if self.found and self.found[-1].output is None else None
        if name in _PRODUCTS and waiting is not None and _first(args, kwargs).numel() == waiting.weights.numel():
            waiting.output = result.view(*waiting.weights.shape[:-1], -1)
            return waiting.output.view_as(result)
        return result

    def _weights(self, result: Tensor, dim: int | None) -> Tensor:
        """The result of a softmax; of one over the places that a place attends to, a view of what is recorded."""
        heads = len(result) // self.batch if self.batch and len(result) % self.batch == 0 else 0
        square = result.ndim == 3 and result.shape[1] == result.shape[2]
        if not self.running or dim not in (-1, result.ndim - 1) or not (result.ndim > 3 or (square and heads)):
            return result
        shape = result.shape[-3:] if result.ndim > 3 else (heads, *result.shape[1:])
        weights = result.reshape(-1, *shape)
        self.found.append(Attention(self.running[-1][0], tuple(self.running), weights))
        return weights.view_as(result)


def _first(args: Sequence[Any], kwargs: Any) -> Tensor:
    return args[0] if args else kwargs["input"]


class Attentions:
    """The attentions of the latest forward pass, in the order in which they ran.

    Args:
        reader: what records them.
    """

    def __init__(self, reader: _Reader) -> None:
        self._reader = reader

    def __iter__(self) -> Iterator[Attention]:
        return iter(self._reader.found)

    def __len__(self) -> int:
        return len(self._reader.found)

    @property
    def batch(self) -> int:
        """Number of pictures."""
        return self._reader.batch

    def of(self, layer: str, call: int = 0) -> Attention:
        """The one attention that ran in a call of a module.

        Args:
            layer: name of the module.
            call: index of its call in the forward pass.

        Raises:
            BadInput: if none ran there, or several.
        """
        inside = [each for each in self if (layer, call) in each.inside]
        if len(inside) == 1:
            return inside[0]
        names = ", ".join(dict.fromkeys(each.layer for each in (inside or self))) or "none in this network"
        what = f"layer {layer!r}" if layer else "the network"
        many = f"{len(inside)} attentions run in {what}" if inside else f"no attention is computed in {what}"
        raise BadInput(f"{many}: give the address of one, {names}")

    def tensor(self, layer: str, call: int, part: str) -> Tensor:
        """What an address means by `:attention` or `:head.K`.

        Args:
            layer: name of the module.
            call: index of its call in the forward pass.
            part: `attention` for the weights (B, heads, N, M), `head.K` for the output of one head (B, N, D).

        Raises:
            BadInput: if not exactly one attention ran there, or it ran within windows.
            OutOfRange: if there is no such head.
        """
        found = self.of(layer, call)
        if len(found.weights) != self.batch:
            windows, places = len(found.weights) // self.batch, found.weights.shape[-1]
            raise BadInput(
                f"layer {layer!r} attends within {windows} windows of {places} places each: expected attention between "
                "all places of a picture; choose another layer"
            )
        if part == WEIGHTS:
            return found.weights
        head, heads = int(part.partition(".")[2]), found.weights.shape[1]
        if head >= heads:
            raise OutOfRange(f"head {head} is out of range: layer {layer!r} has {heads} heads (0 to {heads - 1})")
        if found.output is None:
            raise BadInput(f"layer {layer!r} does not multiply its attention weights with values: choose another layer")
        return found.output[:, head]


def is_attention(part: str) -> bool:
    """Whether the name of a tensor in an address means attention: `attention`, or `head.K`."""
    return part == WEIGHTS or HEAD.fullmatch(part) is not None


def attended(weights: Tensor, axes: Axes | None, size: tuple[int, int], token: str, layer: str) -> Tensor:
    """How much of each place one token takes, as one map for each head.

    Args:
        weights: (B, heads, N, M).
        axes: of the layer's tokens, if they are known.
        size: (height, width) of the pictures in pixels.
        token: the one that attends: `cls`, its index among all tokens, or `ROW,COLUMN` of its place.
        layer: name of the layer, for errors.

    Returns:
        (B, heads, h, w); the weights as they are if `token` is "".

    Raises:
        BadInput: where the tokens' places are not known, for a layer without a class token, or another name.
        OutOfRange: for a token or a place that there is not.
    """
    if not token:
        return weights
    if axes is None or not axes.tokens or not axes.ordered:
        raise BadInput(
            f"the places of the tokens of layer {layer!r} are not known: read {layer}:{WEIGHTS}, from token to token, "
            "or load the model with axes"
        )
    line, count = Axes("BCN", prefix=axes.prefix), weights.shape[2]
    places = line.maps(torch.arange(count).view(1, 1, -1), 1, size)[0, 0]
    if token == CLASS_TOKEN and not axes.prefix:
        raise BadInput(f"layer {layer!r} has no class token: its {count} tokens are those of the patches")
    place = [int(part) for part in token.split(",") if part.isdecimal()]
    if (token != CLASS_TOKEN and len(place) != 1 + token.count(",")) or len(place) > 2:
        raise BadInput(f"unknown token {token!r} of layer {layer!r}: expected cls, the index of a token or ROW,COLUMN")
    if any(at >= limit for at, limit in zip(place, places.shape if len(place) == 2 else (count,), strict=False)):
        raise OutOfRange(
            f"token {token} is out of range: layer {layer!r} has {count} tokens, those of the patches on "
            f"{places.shape[0]} rows and {places.shape[1]} columns"
        )
    index = 0 if token == CLASS_TOKEN else int(places[tuple(place)]) if len(place) == 2 else place[0]
    return line.maps(weights[:, :, index], len(weights), size)


@contextmanager
def read_attention(module: nn.Module) -> Iterator[Attentions]:
    """A context in which every attention of a network's forward passes is recorded, with gradients.

    It is found by what is computed: `scaled_dot_product_attention` (timm, Hugging Face, `nn.MultiheadAttention`), and
    a softmax over the last of four axes (B, heads, N, M), or of three (B heads, N, N). What runs inside TorchScript
    modules and kernels of other libraries cannot be seen. A score's gradient with respect to the weights is
    `torch.autograd.grad(score, each.weights)`.

    Args:
        module: the network. It is not frozen by this context: enter `Model.capture` around it, or inside of it.

    Yields:
        The `Attentions` of the latest forward pass.

    Example:
        >>> net = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
        >>> with read_attention(net) as seen:
        ...     _ = net(torch.zeros(1, 5, 8))
        ...     [(each.layer, tuple(each.weights.shape)) for each in seen]
        [('self_attn', (1, 2, 5, 5))]
    """
    reader, calls = _Reader(), Counter[str]()

    def begin(name: str) -> Callable[..., None]:
        def enter(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not name:
                reader.found, reader.running = [], []
                reader.batch = next((len(x) for x in (*args, *kwargs.values()) if isinstance(x, Tensor) and x.ndim), 0)
                calls.clear()
            reader.running.append((name, calls[name]))
            calls[name] += 1

        return enter

    def end(name: str) -> Callable[..., None]:
        def leave(*_: Any) -> None:  # a module that raised an error, which its caller caught, has not left
            while reader.running and reader.running.pop()[0] != name:
                pass

        return leave

    with ExitStack() as stack:
        for name, part in named_layers(module).items():
            stack.callback(part.register_forward_pre_hook(begin(name), with_kwargs=True).remove)
            stack.callback(part.register_forward_hook(end(name)).remove)
        stack.enter_context(reader)
        try:
            yield Attentions(reader)
        finally:
            reader.found = []
