"""Zero-shot classifiers: a network with a text tower, with texts as its classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from inverter.capture.outputs import select_tensor
from inverter.models import Model
from inverter.text import SCALE
from inverter_errors import BadInput


class ZeroShot(nn.Module):
    """The similarity of a picture with each of some texts (Radford et al. 2021, CLIP, section 3.1).

    Args:
        network: the image tower, whose output is an embedding (B, D).
        vectors: of the texts, (N, D) of length 1.
        scale: factor of the cosines: the network's own makes their softmax the probability that it was trained for.
    """

    vectors: Tensor

    def __init__(self, network: nn.Module, vectors: Tensor, scale: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("vectors", vectors * scale)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits (B, N) of pictures (B, C, H, W) as the network takes them."""
        embedding = select_tensor(self.network(pictures), "", "")
        if embedding.ndim != 2 or embedding.shape[1] != self.vectors.shape[1]:
            raise BadInput(
                f"the network outputs {tuple(embedding.shape[1:])} for a picture, and its text tower "
                f"({self.vectors.shape[1]},): expected vectors of one space"
            )
        return F.normalize(embedding, dim=1) @ self.vectors.to(embedding.dtype).T


def zero_shot(model: Model, texts: Sequence[str]) -> Model:
    """A network with a text tower as a classifier whose classes are texts.

    Args:
        model: the network, which is not changed; its layers have `network.` before their addresses.
        texts: one or more.

    Returns:
        A copy that shares the network. Its output (B, N) are the cosines of a picture with the texts, times the
        network's scale (`logit_scale`; 100 where it has none).

    Raises:
        BadInput: for a network without a text tower, no texts, or an empty one.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> words = {"red": [1.0, 0.0, 0.0], "green": [0.0, 1.0, 0.0]}
        >>> from inverter.text import as_text_tower
        >>> text = as_text_tower(lambda texts: torch.tensor([words[each] for each in texts]))
        >>> zero_shot(Model(net, normalize="none", input_size=(8, 8), text=text), ["red", "green"]).categories
        ('red', 'green')
    """
    found = copy.copy(model)
    vectors = model.encode_text(texts).to(model.device)
    found.module = ZeroShot(model.module, vectors, getattr(model.text, "scale", SCALE))
    found.categories, found.text = tuple(texts), None
    return found
