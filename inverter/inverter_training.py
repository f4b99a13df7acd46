"""The training of a learned inverter: its pictures must look like the originals, and have their codes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from inverter.codes import encode, stride
from inverter.decoder import Decoder
from inverter.isolation.switches import recording
from inverter.learned_inverter import DEPTH, WIDTH, LearnedInverter
from inverter.models import Model
from inverter.settings import Settings
from inverter_errors import BadInput


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        steps: optimiser steps.
        batch: pictures in a step.
        rate: peak of Adam's learning rate, which rises in the first twentieth of the steps and falls along a cosine.
        size: side of the pictures in pixels.
        width: channels of the inverter at the resolution of the code.
        depth: residual blocks there.
        code: weight of the code's relative error (the feature loss), next to the pictures' mean absolute error.
        seed: of the weights and pictures.
    """

    steps: int = 2000
    batch: int = 8
    rate: float = 1e-3
    size: int = 128
    width: int = WIDTH
    depth: int = DEPTH
    code: float = 0.5
    seed: int = 0


@dataclass
class Training:
    """A training in progress: everything that a checkpoint holds.

    Attributes:
        inverter: as it is now.
        optimizer: with its moments.
        settings: of the training.
        step: steps done.
        seconds: that they took.
    """

    inverter: LearnedInverter
    optimizer: torch.optim.Adam
    settings: TrainingSettings
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, model: Model, layer: str, settings: TrainingSettings) -> Training:
        """A training that starts from the closed-form decoder of the layer.

        Args:
            model: the network.
            layer: address of a layer that outputs maps.
            settings: of the training.

        Raises:
            LayerNotFound: for a layer that the network does not have.
            BadInput: for a layer that outputs no map (B, C, h, w), or a network that takes other than three channels.
        """
        if len(model.mean) != 3:
            raise BadInput(f"a learned inverter draws pictures of 3 channels, and {model.spec} takes {len(model.mean)}")
        size = (settings.size, settings.size)
        decoder = Decoder.fit(model, layer, size)
        shape = tuple(model.shapes([layer], size)[layer])
        # Padding takes positions from the border, so that a code has fewer of them than its stride says.
        pixels = 2 ** round(math.log2(stride(shape, size))) if shape[2] * shape[3] > 1 else settings.size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            inverter = LearnedInverter(shape[1], pixels, settings.width, settings.depth)
        inverter.layer, inverter.sha256 = layer, model.sha256
        return cls.of(inverter.to(memory_format=torch.channels_last), settings, decoder)

    @classmethod
    def of(cls, inverter: LearnedInverter, settings: TrainingSettings, decoder: Decoder | None = None) -> Training:
        if decoder is not None:
            inverter.start_from(decoder, decoder.level, decoder.spread)
        return cls(inverter, torch.optim.Adam(inverter.parameters(), betas=(0.9, 0.98)), settings)

    def rate(self) -> float:
        """The learning rate of the next step."""
        warm, total = max(1, self.settings.steps // 20), self.settings.steps
        rise = min(1.0, (self.step + 1) / warm)
        return self.settings.rate * rise * (1 + math.cos(math.pi * min(1.0, self.step / total))) / 2

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "settings": asdict(self.settings),
            "step": self.step,
            "seconds": self.seconds,
            "inverter": self.inverter.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from a checkpoint of the same settings."""
        self.inverter.load_state_dict(state["inverter"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


@recording()
def train(
    model: Model, training: Training, pictures: Callable[[int], Tensor]
) -> Iterator[tuple[Training, float, float]]:
    """Trains step by step; stop iterating at any time.

    The loss is mean |x - x0| + code |Phi(x) - Phi0|^2 / |Phi0|^2 (Dosovitskiy & Brox 2016, "Generating images with
    perceptual similarity metrics", eq. 2, without the adversary).

    Args:
        model: the network.
        training: to continue; it is changed in place.
        pictures: step -> (B, 3, H, W) in [0, 1], the same for the same step.

    Yields:
        The training, the mean absolute error of the pictures, and the relative error of the codes, after each step.
    """
    settings, inverter, layer = training.settings, training.inverter, training.inverter.layer
    inverter.to(model.device).train()
    begun = time.perf_counter() - training.seconds
    with model.capture([layer]) as capture:
        while training.step < settings.steps:
            original = pictures(training.step).to(model.device)
            size = (original.shape[2], original.shape[3])
            with Settings().autocast(model.device):
                with torch.no_grad():
                    code = capture(model.normalize(original))[layer].float()
                image = inverter(code, size)
                found = capture(model.normalize(image))[layer].float()
            error = (image - original).abs().mean()
            apart = (found - code).square().flatten(1).sum(1) / code.square().flatten(1).sum(1).clamp_min(1e-12)
            for group in training.optimizer.param_groups:
                group["lr"] = training.rate()
            training.optimizer.zero_grad(set_to_none=True)
            (error + settings.code * apart.mean()).backward()
            torch.nn.utils.clip_grad_norm_(inverter.parameters(), 1.0)
            training.optimizer.step()
            training.step, training.seconds = training.step + 1, time.perf_counter() - begun
            yield training, float(error.detach()), float(apart.detach().sqrt().mean())


@torch.no_grad()
def held_out_error(model: Model, inverter: LearnedInverter, pictures: Tensor) -> dict[str, float]:
    """How good one-pass pictures of codes are.

    Args:
        model: the network.
        inverter: to measure.
        pictures: (N, 3, H, W) in [0, 1] that it was not trained on.

    Returns:
        `relative_error` of the codes, and `psnr` of the pictures in dB, means over the pictures.
    """
    size, layer = (pictures.shape[2], pictures.shape[3]), inverter.layer
    code = encode(model, pictures, layer)[layer]
    inverter.eval()
    images = inverter.pictures(code, size)
    apart = (encode(model, images, layer)[layer] - code).flatten(1).norm(dim=1) / code.flatten(1).norm(dim=1)
    psnr = -10 * (images - pictures).square().flatten(1).mean(1).log10()
    return {"relative_error": float(apart.mean()), "psnr": float(psnr.mean())}
