"""The options for where a recipe's work is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inverter_errors import BadInput

MOST = 10_000
"""Upper bound for workers, and for threads of each: more are a mistake."""


def _option(help: str) -> Any:
    return field(default=None, metadata={"help": help, "machines": True, "group": "machine"})


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Fields of a recipe that affect its speed but not its results, apart from their last bits (`threads`)."""

    workers: int | None = _option("processes that share the work (default: only this one; with ray: all that fit)")
    threads: int | None = _option("cores per worker (default: an equal part of this machine's)")
    ray: str | None = _option("work in a Ray cluster: local, auto, or its address; see docs/cluster.md")
    ray_gpus: float | None = _option("GPUs per worker in the cluster (default: 1 if it has any)")

    def __post_init__(self) -> None:
        for key in ("workers", "threads"):
            value = getattr(self, key)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise BadInput(f"{key} must be an integer of at least 1, got {value!r}")
            if value is not None and value > MOST:
                raise BadInput(f"{key} must be at most {MOST}, got {value!r}")
        if self.ray is not None and (not isinstance(self.ray, str) or not self.ray):
            raise BadInput(f"ray must be local, auto, or the address of a cluster, got {self.ray!r}")
        if self.ray_gpus is not None and not (isinstance(self.ray_gpus, int | float) and self.ray_gpus >= 0):
            raise BadInput(f"ray_gpus must be a number of at least 0, got {self.ray_gpus!r}")
        if self.ray_gpus is not None and self.ray is None:
            raise BadInput("ray_gpus sets the GPUs of each worker in a Ray cluster, but there is none: set ray")
