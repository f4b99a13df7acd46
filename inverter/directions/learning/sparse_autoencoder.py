"""The training of a sparse autoencoder: directions of which few are active in any one activation vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from inverter.directions.directions import Directions
from inverter.directions.gates import opened
from inverter.directions.learning.step_function import step
from inverter.isolation.switches import recording
from inverter_errors import BadInput, plural

GATES: Final = ("topk", "jumprelu")
DEAD_AFTER: Final = 30
"""Expected activations of a latent that passed without one before it counts as dead."""
REVIVED: Final = 1 / 32
"""Weight of the auxiliary loss (Gao et al. 2024, section A.2)."""
SPARSITY: Final = 1.0
"""Weight of JumpReLU's penalty, of the squared relative distance of L0 from its target."""
BANDWIDTH: Final = 0.03
"""Width of the kernel around a threshold, in root mean squares of an activation vector's length."""
ITERATIONS: Final = 20
"""Of Weiszfeld's algorithm."""


@dataclass(frozen=True)
class SparseSettings:
    """How to train.

    Attributes:
        count: latents.
        k: active latents of one vector: exactly so many at most with "topk", on average with "jumprelu".
        gate: "topk" (Gao et al. 2024) or "jumprelu" (Rajamanoharan et al. 2024).
        steps: optimiser steps.
        batch: vectors in a step.
        rate: peak of Adam's learning rate, which rises in the first twentieth of the steps and falls along a cosine.
        seed: of the first directions.
    """

    count: int = 1024
    k: int = 16
    gate: str = "topk"
    steps: int = 2000
    batch: int = 1024
    rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.gate not in GATES:
            raise BadInput(f"unknown gate {self.gate!r} of a sparse autoencoder; known: {', '.join(GATES)}")
        if not 1 <= self.k < self.count:
            raise BadInput(f"{plural(self.count, 'latent')} with k {self.k}: expected a k of at least 1 and below that")


class _Autoencoder(nn.Module):
    """The parameters, for vectors that are centred and of length 1 on average (root mean square)."""

    def __init__(self, decoder: Tensor, thresholds: Tensor | None) -> None:
        super().__init__()
        self.decoder = nn.Parameter(decoder.clone())
        self.encoder = nn.Parameter(decoder.clone())
        self.bias = nn.Parameter(torch.zeros(len(decoder)))
        self.log_thresholds = None if thresholds is None else nn.Parameter(thresholds.log())


@dataclass
class SparseTraining:
    """A training in progress: everything that a checkpoint holds.

    Attributes:
        settings: of the training.
        autoencoder: as it is now.
        optimizer: with its moments.
        center: (C,), subtracted from the vectors.
        length: root mean square of the centred vectors' lengths.
        silent: (N,), vectors since each latent was active.
        done: steps done.
    """

    settings: SparseSettings
    autoencoder: _Autoencoder
    optimizer: torch.optim.Adam
    center: Tensor
    length: Tensor
    silent: Tensor
    done: int = 0

    @classmethod
    def begin(cls, sample: Tensor, settings: SparseSettings) -> SparseTraining:
        """A training that starts from the directions of random vectors.

        The centre is the geometric median (Bricken et al. 2023), the encoder the decoder's transpose.

        Args:
            sample: (n, C), random vectors of those to train on, on the device to train on.
            settings: of the training.

        Raises:
            BadInput: for a sample without variation.
        """
        sample = sample.float()
        center = geometric_median(sample)
        apart = sample - center
        length = apart.square().sum(1).mean().sqrt()
        if not bool(length > 0):
            raise BadInput("all activation vectors are the same: there are no directions to learn")
        apart /= length
        draws = torch.Generator("cpu").manual_seed(settings.seed)
        chosen = torch.randint(len(sample), (settings.count,), generator=draws)
        noise = torch.randn(settings.count, sample.shape[1], generator=draws).to(sample.device)
        # Few vectors are drawn more than once: a little noise sets their copies apart.
        rows = _unit(apart[chosen.to(sample.device)] + 0.1 * noise / sample.shape[1] ** 0.5)
        thresholds = None
        if settings.gate == "jumprelu":  # at first, each latent is active for its share of the vectors
            rank = max(1, round(len(sample) * settings.k / settings.count))
            thresholds = (apart @ rows.T).topk(min(rank, len(sample)), dim=0).values[-1].clamp_min(1e-3)
        autoencoder = _Autoencoder(rows, thresholds).to(sample.device)
        optimizer = torch.optim.Adam(autoencoder.parameters(), betas=(0.9, 0.999))
        silent = torch.zeros(settings.count, dtype=torch.int64, device=sample.device)
        return cls(settings, autoencoder, optimizer, center, length, silent)

    def rate(self) -> float:
        """The learning rate of the next step."""
        warm, total = max(1, self.settings.steps // 20), self.settings.steps
        rise = min(1.0, (self.done + 1) / warm)
        return self.settings.rate * rise * (1 + math.cos(math.pi * min(1.0, self.done / total))) / 2

    @property
    def dead_after(self) -> float:
        """Vectors without an activation after which a latent counts as dead."""
        return DEAD_AFTER * self.settings.count / self.settings.k

    def loss(self, vectors: Tensor) -> Tensor:
        """The loss of a batch; it also notes which latents are active.

        The squared error relative to the squared length; of dead latents, the error with which they alone reconstruct
        the residual ("AuxK", Gao et al. 2024, section A.2); with "jumprelu", the squared relative distance of L0
        from k (Rajamanoharan et al. 2024, "Jumping ahead", section 6).

        Args:
            vectors: (B, C), centred and scaled.
        """
        own, k = self.autoencoder, self.settings.k
        before = nn.functional.linear(vectors, own.encoder, own.bias)
        penalty = torch.zeros((), device=vectors.device)
        if own.log_thresholds is None:
            latents = opened(before, "topk", -1, k)
        else:
            active = step(before, own.log_thresholds.exp(), BANDWIDTH)
            latents = before * active
            penalty = SPARSITY * (active.sum(1).mean() / k - 1).square()
        residual = vectors - latents @ own.decoder
        error = residual.square().sum(1).mean()
        with torch.no_grad():
            self.silent += len(vectors)
            self.silent[(latents != 0).any(0)] = 0
            dead = self.silent > self.dead_after
        if bool(dead.any()):
            # Not rectified: a latent below 0 for every vector would have no gradient.
            best = before[:, dead].topk(min(int(dead.sum()), max(k, vectors.shape[1] // 2)))
            alone = torch.zeros_like(before[:, dead]).scatter(1, best.indices, best.values)
            left = residual.detach() - alone @ own.decoder[dead]
            relative = left.square().sum(1).mean() / residual.detach().square().sum(1).mean().clamp_min(1e-12)
            penalty = penalty + REVIVED * relative
        return error + penalty

    def directions(self, layer: str) -> Directions:
        """The directions as they are now, for the layer's vectors as they are.

        Args:
            layer: address.
        """
        own, length = self.autoencoder, self.length
        thresholds = None if own.log_thresholds is None else own.log_thresholds.detach().exp() * length
        return Directions(
            layer,
            own.decoder.detach(),
            own.encoder.detach(),
            own.bias.detach() * length,
            self.center,
            gate=self.settings.gate,
            k=self.settings.k if thresholds is None else None,
            thresholds=thresholds,
            method="sae",
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "settings": asdict(self.settings),
            "autoencoder": self.autoencoder.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "center": self.center,
            "length": self.length,
            "silent": self.silent,
            "done": self.done,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from a checkpoint of the same settings."""
        self.autoencoder.load_state_dict(state["autoencoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        device = self.center.device
        self.center, self.length = state["center"].to(device), state["length"].to(device)
        self.silent, self.done = state["silent"].to(device), state["done"]


@recording()
def train(training: SparseTraining, vectors: Callable[[int], Tensor]) -> Iterator[SparseTraining]:
    """Trains step by step; stop iterating at any time.

    Args:
        training: to continue; it is changed in place.
        vectors: step -> (B, C), the same for the same step.

    Yields:
        The training, after each step.
    """
    own = training.autoencoder
    while training.done < training.settings.steps:
        batch = (vectors(training.done).to(training.center.device).float() - training.center) / training.length
        for group in training.optimizer.param_groups:
            group["lr"] = training.rate()
        training.optimizer.zero_grad(set_to_none=True)
        training.loss(batch).backward()
        grad = own.decoder.grad
        assert grad is not None
        with torch.no_grad():  # what would only change a row's length, which is put back
            grad -= (grad * own.decoder).sum(1, keepdim=True) * own.decoder
            torch.nn.utils.clip_grad_norm_(own.parameters(), 1.0)
            training.optimizer.step()
            own.decoder.copy_(_unit(own.decoder))
        training.done += 1
        yield training


def geometric_median(vectors: Tensor) -> Tensor:
    """The point with the least mean distance to vectors, by Weiszfeld's algorithm.

    Args:
        vectors: (n, C).

    Returns:
        (C,).
    """
    point = vectors.mean(0)
    for _ in range(ITERATIONS):
        weights = 1 / (vectors - point).norm(dim=1, keepdim=True).clamp_min(1e-6)
        point = (vectors * weights).sum(0) / weights.sum()
    return point


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-8)
