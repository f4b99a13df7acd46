"""Text towers: what turns words into vectors of the space to which a network maps pictures (CLIP, SigLIP)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter.isolation.forward_errors import FORWARD_ERRORS
from inverter.isolation.frozen import frozen
from inverter.isolation.switches import normal_tensors
from inverter_errors import BadInput, InverterError, plural

SCALE = 100.0
"""Factor of similarities before a softmax, where a network does not say its own: that of CLIP."""
_PAIRS = (("encode_image", "encode_text"), ("get_image_features", "get_text_features"))
"""Methods of networks with both towers: those of CLIP and open_clip, and those of Hugging Face."""

Tokenizer = Callable[..., Any]
"""Texts to tokens: that of `open_clip`, Hugging Face's tokenizer or processor, or any function (N texts) -> tensor."""


@runtime_checkable
class TextTower(Protocol):
    """What a network needs next to its image tower to work with words: `Model.text`."""

    def encode_text(self, texts: Sequence[str], /) -> Tensor:
        """Texts as vectors of the space of the network's output.

        Args:
            texts: N of them.

        Returns:
            (N, D), of any length and on any device.
        """
        ...


def has_towers(network: object) -> bool:
    """True for a network with an image and a text tower, in the form of CLIP, open_clip or Hugging Face."""
    return isinstance(network, nn.Module) and _pair(network) is not None


def towers(network: nn.Module, tokenizer: Tokenizer | None = None) -> tuple[nn.Module, TextTower]:
    """The image tower of a network with two, and its text tower.

    The image tower is the same network, with the same layers and weights, whose forward pass encodes pictures: all
    addresses stay as they are, and weights may be loaded into it.

    Args:
        network: with `encode_image` and `encode_text` (CLIP, open_clip), or with `get_image_features` and
            `get_text_features` (Hugging Face).
        tokenizer: of its texts; None where `encode_text` takes texts as they are.

    Returns:
        (image tower, text tower).

    Raises:
        BadInput: for a network without these methods, or one of Hugging Face without a tokenizer.
    """
    if (pair := _pair(network)) is None:
        raise BadInput(
            f"{type(network).__name__} has no text tower: expected the methods encode_image and encode_text, or "
            "get_image_features and get_text_features"
        )
    image = network
    if "forward" not in vars(network):  # else its source has it take pictures already
        image = copy.copy(network)  # the user's own keeps its forward pass
        image.forward = partial(_encode_image, image, pair[0])
    return image, JointText(network, pair[1], tokenizer)


@dataclass(frozen=True, eq=False)
class JointText:
    """The text tower of a network that has both.

    Attributes:
        network: the network.
        method: its method that encodes tokens.
        tokenizer: None where this method takes texts as they are.
    """

    network: nn.Module = field(repr=False)
    method: str
    tokenizer: Tokenizer | None = field(repr=False)

    @property
    def scale(self) -> float:
        """The network's own factor of similarities (the inverse of its temperature)."""
        found = getattr(self.network, "logit_scale", None)
        return float(found.detach().exp()) if isinstance(found, Tensor) and found.numel() == 1 else SCALE

    def encode_text(self, texts: Sequence[str], /) -> Tensor:
        """Texts as vectors (N, D)."""
        encode = getattr(self.network, self.method)
        with torch.no_grad(), normal_tensors(), frozen(self.network):
            if self.tokenizer is None:
                return _embedding(encode(list(texts)))
            here = next(iter(self.network.parameters())).device
            if self.method == "encode_text":
                return _embedding(encode(self.tokenizer(list(texts)).to(here)))
            return _embedding(encode(**self._of_hugging_face(texts).to(here)))

    def _of_hugging_face(self, texts: Sequence[str]) -> Any:
        assert self.tokenizer is not None
        config: Any = self.network.config
        tokenizer: Any = getattr(self.tokenizer, "tokenizer", self.tokenizer)  # of a processor, or one made later
        longest = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
        longest = min(filter(None, (longest, getattr(tokenizer, "model_max_length", None))), default=None)
        # SigLIP was trained on texts padded to their full length, and attends to the padding.
        padding = "max_length" if "siglip" in getattr(config, "model_type", "") and longest else True
        return tokenizer(list(texts), padding=padding, truncation=True, max_length=longest, return_tensors="pt")


@dataclass(frozen=True, eq=False)
class LaterTokenizer:
    """A tokenizer that is made for the first text: it may have to be fetched, and pictures need none.

    Attributes:
        make: makes it.
    """

    make: Callable[[], Tokenizer]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return self.make()

    def __call__(self, *texts: Any, **options: Any) -> Any:
        return self.tokenizer(*texts, **options)


@dataclass(frozen=True, eq=False)
class CallableText:
    """A function (N texts) -> (N, D) as a text tower."""

    function: Callable[[list[str]], Tensor]

    def encode_text(self, texts: Sequence[str], /) -> Tensor:
        """Texts as vectors (N, D)."""
        with torch.no_grad(), normal_tensors():
            return self.function(list(texts))


def as_text_tower(text: object) -> TextTower:
    """A user's text tower: an object with `encode_text`, or a function of texts.

    Args:
        text: either of them.

    Raises:
        BadInput: for anything else.
    """
    if isinstance(text, TextTower):
        return text
    if callable(text):
        return CallableText(text)
    raise BadInput(
        f"text must have encode_text(texts) -> (N, D), or be a function that returns this; got {type(text).__name__}"
    )


def as_tokenizer(tokenizer: object) -> Tokenizer:
    """A tokenizer as it is.

    Raises:
        BadInput: if it cannot be called.
    """
    if not callable(tokenizer):
        raise BadInput(f"tokenizer must be a function of texts, got {type(tokenizer).__name__}")
    return tokenizer


def encoded(text: TextTower, texts: Sequence[str], spec: str) -> Tensor:
    """Texts as directions.

    Args:
        text: the tower.
        texts: N of them.
        spec: the network's name, for errors.

    Returns:
        (N, D) float32 of length 1, on the CPU.

    Raises:
        BadInput: for no texts, something else than texts, an empty one, or a tower that fails.
    """
    if isinstance(texts, str) or not texts or not all(isinstance(each, str) and each.strip() for each in texts):
        raise BadInput(f"texts: got {texts!r}; expected one or more texts that are not empty")
    try:
        found = text.encode_text(list(texts))
    except InverterError:
        raise
    except FORWARD_ERRORS as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(f"the text tower of {spec} failed on {texts[0]!r}: {reason}") from error
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(texts) or not found.isfinite().all():
        got = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise BadInput(
            f"the text tower of {spec} returned {got} for {plural(len(texts), 'text')}; expected finite (N, D)"
        )
    return F.normalize(found.detach().float().cpu(), dim=1)


def _pair(network: nn.Module) -> tuple[str, str] | None:
    return next((pair for pair in _PAIRS if all(callable(getattr(network, name, None)) for name in pair)), None)


def _encode_image(network: nn.Module, method: str, pictures: Tensor) -> Tensor:
    return _embedding(getattr(network, method)(pictures))


def _embedding(output: Any) -> Tensor:
    """The embedding itself: Hugging Face returns it as `pooler_output` since version 5."""
    found: Tensor = getattr(output, "pooler_output", output)
    return found
