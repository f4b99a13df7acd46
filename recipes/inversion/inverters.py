"""The learned inverters that are at hand for a network: those that the user names, and those that the package ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from inverter import Model
from inverter.learned_inverter import LearnedInverter, load_inverter
from inverter_errors import NotFound
from recipes.options.names import OUTPUT_LAYER

SHIPPED = sorted((Path(__file__).parents[2] / "inverter" / "data").glob("builtin_*.safetensors"))
"""Files of inverters of the bundled network."""


class Inverters:
    """Learned inverters by layer.

    Args:
        model: the network under inspection.
        files: that the user names; each must be of this network.

    Raises:
        MissingFile: if there is no such file.
        BadInput: for a file that holds no inverter, or that of another network.
    """

    def __init__(self, model: Model, files: Sequence[str | Path]) -> None:
        named = [load_inverter(file) for file in dict.fromkeys(map(str, files))]
        for inverter in named:
            inverter.check(model)
        shipped = [inverter for inverter in map(load_inverter, SHIPPED) if inverter.sha256 == model.sha256]
        self.model = model
        self._by_layer: Mapping[str, LearnedInverter] = {
            inverter.layer: inverter.to(model.device) for inverter in (*shipped, *named)
        }

    def get(self, layer: str) -> LearnedInverter | None:
        """The inverter of a layer, if there is one.

        Args:
            layer: its address.
        """
        return self._by_layer.get(layer)

    def need(self, layer: str) -> LearnedInverter:
        """The inverter of a layer.

        Args:
            layer: its address.

        Raises:
            NotFound: if there is none.
        """
        if (found := self.get(layer)) is not None:
            return found
        known = ", ".join(self._by_layer) or "none"
        raise NotFound(
            f"no learned inverter of layer {layer or OUTPUT_LAYER!r} of {self.model.spec} (known: {known}): train one "
            "with inverter train-inverter, and give its file as inverter or learned:weights=FILE"
        )
