"""Initial pictures of pre-images: what a learned inverter or a closed-form decoder reads off the code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from inverter import Model
from inverter.decoder import Decoder
from inverter.engine import unit_seeds
from priors import Prior
from recipes.inversion.inverters import Inverters
from recipes.options.names import address
from recipes.runner.units import Unit


class Starts:
    """The initial pictures of a run; where no learned inverter is taken, one decoder is fitted for each layer.

    Args:
        seed: of the run.
        inverters: learned ones, which are taken where there is one for the layer; None for decoders alone.
    """

    def __init__(self, seed: int, inverters: Inverters | None) -> None:
        self.seed, self.inverters = seed, inverters
        self._decoders: dict[str, Decoder] = {}

    @torch.no_grad()
    def pictures(self, model: Model, units: Sequence[Unit], codes: Tensor, blank: Prior) -> Tensor:
        """The estimates, plus noise: without it, several attempts at one code would be the same.

        Args:
            model: the network under inspection.
            units: of one layer.
            codes: of the units, (B, C, h, w).
            blank: a prior that has not started; its initial pictures are the noise.

        Returns:
            (B, 3, H, W) in [0, 1].
        """
        layer = units[0].layer
        seeds = unit_seeds([f"{layer}/{unit.image}/{unit.attempt}" for unit in units], self.seed)
        blank.reset([torch.Generator("cpu").manual_seed(seed) for seed in seeds])
        noise = blank()
        size = (noise.shape[2], noise.shape[3])
        estimates = self._estimates(model, address(layer), codes, size)
        return (estimates + noise - noise.mean((2, 3), keepdim=True)).clamp(0, 1)

    def _estimates(self, model: Model, layer: str, codes: Tensor, size: tuple[int, int]) -> Tensor:
        inverter = None if self.inverters is None else self.inverters.get(layer)
        if inverter is not None:
            return inverter.pictures(codes, size)
        if layer not in self._decoders:
            self._decoders[layer] = Decoder.fit(model, layer, size)
        return self._decoders[layer](codes, size)
