"""The fields of a recipe with a judge: a second network that says what it sees in the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.options.fields import option
from recipes.runner.base import written_size

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model

_OWN = ("judge_weights", "judge_normalize", "judge_input_size")


@dataclass(frozen=True, kw_only=True)
class JudgeFields:
    """A recipe that may ask a judge."""

    judge: str | nn.Module | Model | None = option(None, "a second network that says what it sees; named like --model")
    judge_weights: str | None = option(None, "the judge's weights, as in --weights")
    judge_normalize: str | None = option(None, "the judge's normalisation, as in --normalize")
    judge_input_size: str | int | Sequence[int] | None = option(
        None, "the judge's own input size, as in --input-size", was="judge_size"
    )

    def check_judge(self) -> None:
        """Raises a BadInput for options of a judge without a judge."""
        if self.judge is None and (given := [key for key in _OWN if getattr(self, key) is not None]):
            raise BadInput(f"{given[0]} is given but no judge: say which network with judge")

    def load_judge(self, device: str | None, size: tuple[int, int]) -> Model | None:
        """The judge; pictures of `size` are its input where its own input size is not known."""
        from inverter import load_model

        if self.judge is None:
            return None
        judge = load_model(self.judge, self.judge_weights, self.judge_normalize, device, self.judge_input_size)
        return judge.assuming(size)

    def judge_settings(self) -> dict[str, Any]:
        """The fields as the manifest has them, each written in one way."""
        named = self.judge is None or isinstance(self.judge, str)
        return {
            "judge": self.judge if named else getattr(self.judge, "spec", "module"),
            "judge_input_size": written_size(self.judge_input_size),
        }
