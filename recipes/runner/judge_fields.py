"""The fields of a recipe with a judge: a second network, which classifies the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.options.fields import option
from recipes.options.input_values import written_size

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model

_OWN = ("judge_weights", "judge_normalize", "judge_input_size")


@dataclass(frozen=True, kw_only=True)
class JudgeFields:
    """A recipe whose pictures a judge may classify."""

    judge: str | nn.Module | Model | None = option(
        None, "second network, which classifies the pictures; named like --model"
    )
    judge_weights: str | None = option(None, "weights file of the judge")
    judge_normalize: str | None = option(None, "input normalisation of the judge, written like --normalize")
    judge_input_size: str | int | Sequence[int] | None = option(
        None, "input size of the judge, written like --input-size (default: that of its source)", was="judge_size"
    )

    def check_judge(self) -> None:
        """Raises a BadInput for options of a judge without a judge."""
        if self.judge is None and (given := [key for key in _OWN if getattr(self, key) is not None]):
            raise BadInput(f"{given[0]} is given but no judge: set judge to a network")

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
