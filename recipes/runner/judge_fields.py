"""The fields of a recipe with judges: further networks, which look at the pictures and took no part in making them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput, plural
from recipes.options.fields import option
from recipes.options.input_values import written_size

if TYPE_CHECKING:
    from torch import nn

    from inverter import Model

_OWN = ("judge_weights", "judge_normalize", "judge_input_size")
_DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class JudgeFields:
    """A recipe whose pictures judges look at.

    Each option of a judge is given once for each of them, in their order; `default` leaves a judge without it.
    """

    judge: str | nn.Module | Model | Sequence[str | nn.Module | Model] | None = option(
        None, "further network, which judges the pictures; named like --model; may be repeated", repeat=True
    )
    judge_weights: str | Sequence[str] | None = option(
        None, "weights file of the judge; once for each judge, or default", repeat=True
    )
    judge_normalize: str | Sequence[str] | None = option(
        None, "input normalisation of the judge, written like --normalize; once for each judge, or default", repeat=True
    )
    judge_input_size: str | int | Sequence[str | int] | None = option(
        None,
        "input size of the judge, written like --input-size (default: that of its source); once for each judge, or "
        "default",
        was="judge_size",
        repeat=True,
    )

    @property
    def judges(self) -> tuple[str | nn.Module | Model, ...]:
        """The judges as they were given."""
        if self.judge is None:
            return ()
        return (self.judge,) if not isinstance(self.judge, Sequence) or isinstance(self.judge, str) else (*self.judge,)

    @property
    def judge_labels(self) -> tuple[str, ...]:
        """The names of the judges in metrics and on pages: `judge`; of several, `judge NAME`, with the source left out.

        Example:
            >>> JudgeFields(judge=["timm:resnet18", "nets.py:own", "timm:resnet18"]).judge_labels
            ('judge resnet18', 'judge own', 'judge resnet18 3')
        """
        if len(self.judges) < 2:
            return ("judge",) * len(self.judges)
        labels = list[str]()
        for number, name in enumerate(map(_spec, self.judges), 1):
            label = f"judge {name.rpartition(':')[2].rpartition('/')[2]}"
            labels.append(f"{label} {number}" if label in labels else label)
        return tuple(labels)

    def check_judge(self) -> None:
        """Raises a BadInput for options of a judge without a judge, or of more or fewer judges than there are."""
        for key in _OWN:
            if not self.judges and getattr(self, key) is not None:
                raise BadInput(f"{key} is given but no judge: set judge to a network")
            self._each(key)

    def _each(self, key: str) -> list[Any]:
        """An option's value for each judge."""
        value, count = getattr(self, key), len(self.judges)
        if value is None:
            return [None] * count
        values = list(value) if isinstance(value, list | tuple) else [value]
        if count == 1 and key == "judge_input_size" and len(values) == 2:
            return [value]  # (height, width) of the only judge
        if len(values) != count:
            raise BadInput(
                f"{key} has {plural(len(values), 'value')} for {plural(count, 'judge')}: give one for each judge, in "
                f"their order, or {_DEFAULT}"
            )
        return [None if each == _DEFAULT else each for each in values]

    def load_judges(self, device: str | None, size: tuple[int, int]) -> dict[str, Model]:
        """The judges by label; pictures of `size` are the input of one whose own input size is not known."""
        from inverter import load_model

        return {
            label: load_model(judge, weights, normalize, device, side).assuming(size)
            for label, judge, weights, normalize, side in zip(
                self.judge_labels, self.judges, *map(self._each, _OWN), strict=True
            )
        }

    def judge_settings(self) -> dict[str, Any]:
        """The fields as the manifest has them, each written in one way; those of a single judge as they are."""
        settings: dict[str, list[Any]] = {"judge": [*map(_spec, self.judges)]}
        settings |= {key: self._each(key) for key in _OWN}
        settings["judge_input_size"] = [*map(written_size, settings["judge_input_size"])]
        alone = len(self.judges) < 2
        return {key: (each[0] if each else None) if alone else each for key, each in settings.items()}


def _spec(judge: str | nn.Module | Model) -> str:
    return judge if isinstance(judge, str) else str(getattr(judge, "spec", "module"))
