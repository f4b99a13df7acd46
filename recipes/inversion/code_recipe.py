"""What pre-images are made of: the codes of pictures, or codes that were stored without their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.options.fields import option, texts
from recipes.options.names import address
from recipes.runner.context import RunContext, once
from recipes.runner.natural_fields import NaturalRecipe
from recipes.runner.picture_fields import PictureFields
from recipes.runner.units import Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Code

COMPARED = 32
"""Number of codes, at most, whose mean distance normalises errors."""


@dataclass(frozen=True, kw_only=True)
class CodeRecipe(PictureFields, NaturalRecipe):
    """A recipe of pictures for the codes of some layers."""

    code: str | None = option(None, "codes to invert instead of pictures: .safetensors file written by inverter.encode")
    layer: str | Sequence[str] = option(
        "all",
        "address of a layer, output, or all (every stage, or all in the code file); may be repeated",
        repeat=True,
        grows=True,
    )

    @property
    def layers(self) -> tuple[str, ...]:
        return texts(self.layer)

    def _files(self, context: RunContext) -> Mapping[str, Path]:
        """The files of the pictures by name; none where codes are given."""
        return self.pictures(context).files if self.images else {}

    @once
    def _code(self, context: RunContext) -> Code | None:
        from inverter import load_code

        return None if self.code is None else load_code(self.code)

    @once
    def _names(self, context: RunContext) -> list[str]:
        code = self._code(context)
        return list(self._files(context)) if code is None else [f"code-{i:04d}" for i in range(code.count)]

    def _size(self, context: RunContext) -> tuple[int, int]:
        """(height, width) of the pictures; of those that were encoded, where codes are given."""
        code = self._code(context)
        return self.picture_size(context.model) if code is None else code.size

    @once
    def _shapes(self, context: RunContext, size: tuple[int, int]) -> dict[str, Sequence[int]]:
        """The requested layers with the shapes (1, ...) of their codes, checked against the file of codes."""
        from recipes.inversion.code_layers import code_shapes

        return code_shapes(context.model, self.layers, size, self._code(context), self.code)

    def _originals(self, context: RunContext, units: Sequence[Unit]) -> Tensor:
        names = list(dict.fromkeys(str(unit.image) for unit in units))
        pictures = self.pictures(context).read(names, self._size(context))
        return pictures[[names.index(str(unit.image)) for unit in units]]

    def _targets(self, context: RunContext, units: Sequence[Unit]) -> Tensor:
        """The target codes (B, ...) of units of one layer."""
        from inverter import encode

        where = address(units[0].layer)
        if (code := self._code(context)) is not None:
            names = self._names(context)
            return code.layers[where][[names.index(str(unit.image)) for unit in units]]
        return encode(context.model, self._originals(context, units), where)[where]

    @once
    def _mean_distance(self, context: RunContext, layer: str) -> float | None:
        """The mean distance between codes of different pictures (N_Phi of Mahendran & Vedaldi 2015)."""
        import torch

        names = self._names(context)[:COMPARED]
        if len(names) < 2:
            return None
        codes = self._targets(context, [Unit(layer, None, "code", "", image=name) for name in names]).flatten(1)
        return float(torch.pdist(codes).mean())
