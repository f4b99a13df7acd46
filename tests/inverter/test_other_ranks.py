"""Networks that take no pictures: video, sound, sequences, tokens. Each gets one line."""

import pytest
import torch
from torch import Tensor, nn

from inverter import BadInput, layers, load_model


class Frames(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frames, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, time, _, _ = x.shape
        found = self.frames(x.transpose(1, 2).flatten(0, 1)).mean((2, 3))
        return self.head(found.view(batch, time, 8).mean(1))


class Unsqueezed(nn.Module):
    """Makes a video of one frame of a picture: it takes pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x[:, :, None])[:, :, 0]


NETWORKS = {
    "video": (nn.Sequential(nn.Conv3d(3, 8, 3, padding=1), nn.ReLU()), "a Conv3d, takes video (B, C, T, H, W)"),
    "grey video": (nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU()), "a Conv3d, takes video (B, C, T, H, W)"),
    "frames": (Frames(), "its forward pass takes an input of 5"),
    "sound": (nn.Sequential(nn.Conv1d(1, 8, 9), nn.ReLU()), "a Conv1d, takes audio or other sequences (B, C, T)"),
    "sequences": (nn.GRU(16, 4, batch_first=True), "a GRU, takes sequences (B, T, C)"),
    "tokens": (nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)), "an Embedding, takes indices of tokens"),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("look", [layers, lambda model: model.shapes([""])], ids=["layers", "shapes"])
def test_what_takes_no_pictures_is_refused_in_one_line(name: str, look) -> None:
    network, takes = NETWORKS[name]
    with pytest.raises(BadInput) as caught:
        look(load_model(network, input_size=16))
    assert takes in str(caught.value)
    assert "pictures have four dimensions (B, C, H, W)" in str(caught.value)
    assert "wrap it in a module that takes pictures" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in network.modules())


def test_a_wrapped_one_is_taken() -> None:
    model = load_model(Unsqueezed(), input_size=16)
    assert model.shapes([""])[""] == torch.Size([1, 4, 16, 16])
