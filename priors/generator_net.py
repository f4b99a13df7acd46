"""The bundled generator: from 80 normally distributed latents to pictures of the synthetic world of docs/bundled.md.

It was trained by `python -m tools.bundled train-generator` on rendered pictures (Dosovitskiy et al. 2015, "Learning to
generate chairs with convolutional neural networks"), as docs/bundled.md describes; `data/generator.json` holds the
record of the training.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from inverter_errors import BadInput, MissingFile
from priors import cpu

DATA = Path(__file__).parent / "data"
WEIGHTS = DATA / "generator.safetensors"
RECORD = DATA / "generator.json"
CLASSES = 56
POSE = 24
SIZE = 64
SHARPNESS = 0.03  # temperature of the choice among classes
INKS = 6


def place(pose: Tensor, texture: Tensor, turn_limit: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The placement of an object in a picture that spans [-1, 1] in both directions.

    Args:
        pose: (B, POSE) in [0, 1).
        texture: (B,), 1 for a texture that fills the picture, 0 for a single object.
        turn_limit: (B,) largest rotation, in degrees.

    Returns:
        Centre x, centre y, scale, rotation in degrees, and aspect ratio, each (B,).
    """
    scale = texture * (0.85 + 0.5 * pose[:, 2]) + (1 - texture) * (0.62 + 0.28 * pose[:, 2])
    room = texture * 0.5 + (1 - texture) * (0.12 + 0.7 * (0.9 - scale))
    x, y = room * (2 * pose[:, 0] - 1), room * (2 * pose[:, 1] - 1)
    return x, y, scale, turn_limit * (2 * pose[:, 3] - 1), torch.exp(0.3 * (pose[:, 4] - 0.5))


def into_frame(
    size: int, x: Tensor, y: Tensor, scale: Tensor, turn: Tensor, aspect: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The pixel centres of a picture in the frame of an object placed as `place` says.

    Args:
        size: side of the picture, in pixels.
        x: centre of the object, (B,).
        y: centre of the object, (B,).
        scale: (B,), > 0.
        turn: rotation in degrees, (B,).
        aspect: aspect ratio, (B,), > 0.

    Returns:
        Coordinates x and y, each (B, size, size), and the size of a pixel, (B, 1, 1).
    """
    centres = (torch.arange(size, dtype=torch.float32, device=x.device) + 0.5) * (2 / size) - 1
    cx, cy, s, a = (v[:, None, None] for v in (x, y, scale, aspect))
    angle = (turn * (math.pi / 180))[:, None, None]
    dx, dy = (centres[None, None, :] - cx) / s, (centres[None, :, None] - cy) / s
    cos, sin = torch.cos(angle), torch.sin(angle)
    return (cos * dx + sin * dy) / a, (cos * dy - sin * dx) * a, (2 / size) / s


class BundledGenerator(nn.Module):
    """Latents (B, 80) from N(0, I) to pictures (B, 3, size, size) in [0, 1].

    The largest of the first 56 numbers chooses the class; the normal distribution function turns the other 24 into
    uniform numbers for position, scale, rotation, colours, light and shape. Position, scale, rotation and aspect
    transform the coordinates (a spatial transformer, Jaderberg et al. 2015). Everything else is learnt: each class has
    a map of features in the frame of the object, and a small network, the same for every pixel and modulated by class
    and pose (as in Anokhin et al. 2021), reads that map and mixes each pixel from a palette chosen for the picture.

    The choice of a class is hard in the forward pass and soft in the backward pass (straight-through), so that every
    class has a gradient. It is a weak guide from one class to another: to reach a class, start from the best of some
    hundred latents.

    Args:
        features: channels of each class's feature map.
        grid: side of each feature map.
        width: units of the layers of the per-pixel network.
        depth: number of its layers after the first.
        code: units of the network that computes the modulation.
    """

    latent_size = CLASSES + POSE
    texture: Tensor
    turn_limit: Tensor
    extent: Tensor

    def __init__(self, features: int = 8, grid: int = 56, width: int = 64, depth: int = 3, code: int = 256) -> None:
        super().__init__()
        self.register_buffer("texture", cpu.zeros(CLASSES))
        self.register_buffer("turn_limit", cpu.zeros(CLASSES))
        self.register_buffer("extent", cpu.ones(CLASSES))  # the map spans [-extent, extent] in the object's frame
        self.maps = nn.Parameter(0.3 * cpu.randn(CLASSES, features, grid, grid))
        self.name = nn.Linear(CLASSES, 64, bias=False)
        self.code = nn.Sequential(nn.Linear(64 + 5 * POSE, code), nn.SiLU(), nn.Linear(code, code), nn.SiLU())
        self.colours = nn.Linear(code, INKS * 3)
        self.modulation = nn.ModuleList(nn.Linear(code, 2 * width) for _ in range(depth + 1))
        self.layers = nn.ModuleList(nn.Linear(features + 4 if k == 0 else width, width) for k in range(depth + 1))
        self.out = nn.Linear(width, INKS + 3)

    def split(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Class weights (B, 56), summing to 1, and pose numbers (B, 24) in (0, 1) of latents (B, 80).

        Raises:
            BadInput: if the latents are not (B, 80).
        """
        if latent.ndim != 2 or latent.shape[1] != self.latent_size:
            raise BadInput(f"expected latents (B, {self.latent_size}), got {tuple(latent.shape)}")
        scores = latent[:, :CLASSES]
        soft, hard = scores.softmax(1), (scores / SHARPNESS).softmax(1)
        pose = 0.5 * (1 + torch.erf(latent[:, CLASSES:] / math.sqrt(2)))
        return hard.detach() + soft - soft.detach(), pose

    def forward(self, latent: Tensor, size: int = SIZE) -> Tensor:
        """Pictures (B, 3, size, size) in [0, 1]; trained at 64, and rendered at any size, pixel by pixel."""
        choice, pose = self.split(latent)
        placed = place(pose, choice @ self.texture, choice @ self.turn_limit)
        fx, fy, _ = into_frame(size, *placed)
        extent = (choice @ self.extent)[:, None, None]
        at = torch.stack([fx / extent, fy / extent], -1)
        maps = (choice @ self.maps.flatten(1)).view(-1, *self.maps.shape[1:])
        sampled = F.grid_sample(maps, at, mode="bilinear", padding_mode="border", align_corners=False)
        line = (torch.arange(size, dtype=torch.float32, device=latent.device) + 0.5) * (2 / size) - 1
        across, down = line.expand_as(fx), line[:, None].expand_as(fx)
        own = torch.stack([across, down, *at.clamp(-1.5, 1.5).unbind(-1)], 1)
        x = torch.cat([sampled, own], 1).flatten(2).transpose(1, 2)  # one row of features for each pixel

        turns = 2 * math.pi * pose
        waves = [torch.sin(turns), torch.cos(turns), torch.sin(2 * turns), torch.cos(2 * turns)]
        code = self.code(torch.cat([self.name(choice), 2 * pose - 1, *waves], 1))
        for layer, modulation in zip(self.layers, self.modulation, strict=True):
            gain, shift = modulation(code)[:, None].chunk(2, 2)
            # scaling the weights equals scaling the output of the layer, on fewer numbers
            weight = layer.get_parameter("weight").t() * (1 + gain)
            bias = layer.get_parameter("bias") * (1 + gain) + shift
            x = F.relu(torch.baddbmm(bias.to(x.dtype), x, weight.to(x.dtype)))
        mixed = self.out(x).transpose(1, 2).unflatten(2, (size, size)).float()
        share, shade = mixed[:, :INKS].softmax(1), mixed[:, INKS:]
        colours = self.colours(code).float().view(-1, INKS, 3)
        return torch.sigmoid(torch.einsum("bkhw,bkc->bchw", share, colours) + shade)


def load_generator() -> BundledGenerator:
    """The trained generator, in float32, on the CPU and in eval mode.

    Raises:
        MissingFile: if the package was installed without its data.

    Example:
        >>> pictures = load_generator()(torch.randn(16, 80))  # doctest: +SKIP
    """
    if not WEIGHTS.is_file():
        raise MissingFile(f"no file {WEIGHTS}: the package was installed without its bundled generator; reinstall it")
    with torch.inference_mode(False), torch.device("cpu"):
        generator = BundledGenerator().float()
    generator.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
    return generator.eval()
