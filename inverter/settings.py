"""The settings of one optimisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from inverter_errors import BadInput
from priors.precision import has_bfloat16

OptimizerName = Literal["adam", "lbfgs"]
Schedule = Literal["trapezoid", "cosine", "linear", "constant"]
Precision = Literal["auto", "float32", "bfloat16"]
Graph = Literal["auto", "on", "off"]
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
GRAPHS: tuple[Graph, ...] = get_args(Graph)

TAIL = 0.3
"""The fraction of the steps in which a trapezoid falls."""

MOST_STEPS = 1_000_000
"""All random draws of a run are made at its start: more steps than this would only fill the memory."""
LARGEST_RATE = 1e12
"""Larger steps would overflow float32."""


@dataclass(frozen=True)
class Settings:
    """How to optimise. The defaults are tuned; BENCHMARKS.md has the tables they come from.

    Attributes:
        steps: gradient steps for each picture.
        learning_rate: peak of Adam's step, or the first move of L-BFGS; None takes the prior's own.
        optimizer: `adam`, or `lbfgs`, which uses the curvature and needs far fewer steps but a deterministic loss (no
            augmentation, a prior without random draws).
        momentum: of Adam (its beta 1), in [0, 1); None takes the prior's own.
        schedule: after the warm-up, `trapezoid` (constant, then linear down to 0 in the last 30 % of the steps),
            `cosine` or `linear` down to 0, or `constant`.
        warmup: steps of linear increase at the start.
        views: random views (augmentations) of each picture in each step, whose mean score is maximised; None takes
            one, or for a canvas that is optimised in crops as many as cover about half of it, at most 8.
        tries: complete optimisations of each picture from different random starts; the one with the highest final score
            is kept. A prior that has started has only one.
        redirect: steps at the start in which a picture without a gradient gets a redirected one (`RedirectedReLU`), and
            with Adam one that leads below the dip of a GELU a reversed one (`inverter.ascent.dips.Lift`).
        precision: `float32`, `bfloat16` (autocast), or `auto`: bfloat16 where the hardware computes in it.
        batch_size: pictures optimised together; None chooses by the device.
        seed: of all random draws. A unit draws the same with the same seed, in any batch.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`; None keeps the model's.
        graph: `auto` records a step as a CUDA graph and replays it wherever that is possible (`Inversion.loop` says
            why it was not), `on` raises an error where it is not, `off` starts every kernel from Python.

    Raises:
        BadInput: for a value out of its range.
    """

    steps: int = 64
    learning_rate: float | None = None
    optimizer: OptimizerName = "adam"
    momentum: float | None = None
    schedule: Schedule = "trapezoid"
    warmup: int = 5
    views: int | None = None
    tries: int = 1
    redirect: int = 16
    precision: Precision = "auto"
    batch_size: int | None = None
    seed: int = 0
    device: str | None = None
    graph: Graph = "auto"

    def __post_init__(self) -> None:
        _check_integer("steps", self.steps, 1, MOST_STEPS)
        _check_integer("tries", self.tries, 1)
        _check_integer("warmup", self.warmup, 0)
        _check_integer("redirect", self.redirect, 0)
        _check_integer("seed", self.seed, 0, 2**63 - 1)
        for name in ("batch_size", "views"):
            if getattr(self, name) is not None:
                _check_integer(name, getattr(self, name), 1, 2**31 - 1)
        rate = self.learning_rate
        if rate is not None and not (isinstance(rate, int | float) and 0 < rate < LARGEST_RATE):
            raise BadInput(f"learning_rate must be a finite number above 0, below {LARGEST_RATE:.0e}, got {rate!r}")
        if self.momentum is not None and not (isinstance(self.momentum, int | float) and 0 <= self.momentum < 1):
            raise BadInput(f"momentum must be at least 0 and below 1, got {self.momentum!r}")
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", PRECISIONS),
            ("graph", GRAPHS),
        ):
            if (value := getattr(self, name)) not in known:
                raise BadInput(f"unknown {name} {value!r}; expected one of {', '.join(known)}")

    def rates(self, peak: float) -> list[float]:
        """The learning rate of each step, given its peak."""
        warmup = min(self.warmup, self.steps // 4)  # a short run must not be all warm-up
        rise = [peak * (step + 1) / (warmup + 1) for step in range(warmup)]
        return rise + [peak * self._fall(step / (self.steps - warmup)) for step in range(self.steps - warmup)]

    def _fall(self, time: float) -> float:
        """The schedule's factor at a `time` in [0, 1) after the warm-up."""
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * time)) / 2
        if self.schedule == "trapezoid":
            return min(1.0, (1 - time) / TAIL)
        return 1 - time if self.schedule == "linear" else 1.0

    def autocast(self, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.autocast:
        """The context in which the network runs on `device`; weights of another type than float32 keep it."""
        lower = self.precision == "bfloat16" or (self.precision == "auto" and has_bfloat16(device))
        return torch.autocast(device.type, torch.bfloat16, enabled=lower and dtype == torch.float32)


def _check_integer(name: str, value: object, least: int, most: int | None = None) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadInput(f"{name} must be an integer of at least {least}, got {value!r}")
    if most is not None and value > most:
        raise BadInput(f"{name} must be at most {most}, got {value!r}")
