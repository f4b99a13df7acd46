"""The state of a training, in a file next to the one that it makes: the same command continues from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inverter_errors import BadInput


@dataclass(frozen=True)
class TrainingState:
    """The state of the training that makes a file.

    Attributes:
        out: the file.
        facts: what must not change while the training is continued, by name: plain values.
    """

    out: Path
    facts: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """`OUT.training`."""
        return Path(f"{self.out}.training")

    def load(self, fresh: bool) -> dict[str, Any] | None:
        """What an earlier run of the same training saved, None if there is none.

        Args:
            fresh: to start over.

        Raises:
            BadInput: for a training with other facts, a damaged file, or an output without a state.
        """
        import torch

        if fresh or not self.path.exists():
            if self.out.exists() and not fresh:
                raise BadInput(f"{self.out} exists, without the state of its training: give another out, or fresh")
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            theirs = state["facts"]
            changed = sorted(key for key in self.facts if self.facts[key] != theirs.get(key))
        except Exception as error:  # torch raises many types for a damaged archive
            raise BadInput(f"{self.path} is damaged ({' '.join(str(error).split())[:100]}): give fresh") from error
        if changed:
            raise BadInput(
                f"{self.path} was trained with other settings ({', '.join(changed)}): give those, another out, "
                "or fresh to start over"
            )
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Writes the state atomically.

        Args:
            state: tensors and plain values, by name.
        """
        import torch

        partial = self.path.with_name(f".{self.path.name}.partial")
        torch.save({**state, "facts": dict(self.facts)}, partial)
        partial.replace(self.path)
