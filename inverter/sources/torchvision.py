"""Networks of torchvision, with the metadata of their weights."""

from __future__ import annotations

from collections.abc import Iterable

from inverter.metadata import Known
from inverter.sources.hub import unreachable
from inverter.sources.quiet import quiet
from inverter.sources.source import Found, Source, near, prefixed, seeded
from inverter_errors import BadInput


def _load(name: str, pretrained: bool) -> Found:
    from torchvision import models

    names = models.list_models()
    if name not in names:
        raise BadInput(f"torchvision has no model {name!r}{near(name, names)}")
    meta = models.get_model_weights(name).DEFAULT
    try:
        with quiet(), seeded():
            module = models.get_model(name, weights=meta if pretrained else None)
    except OSError as error:  # URLError is one
        raise unreachable(f"torchvision:{name}", error) from error
    known: Known = {"categories": meta.meta.get("categories", ())}
    transforms = meta.transforms()
    if hasattr(transforms, "mean"):
        known["normalize"] = (tuple(transforms.mean), tuple(transforms.std))
    if size := getattr(transforms, "crop_size", None):
        known["input_size"] = (size[0], size[-1])
    return module, known


def _names(pattern: str) -> Iterable[str]:
    from torchvision import models

    return [f"torchvision:{name}" for name in models.list_models(module=models)]


SOURCE = Source(
    name="torchvision",
    form="torchvision:NAME",
    takes=prefixed("torchvision"),
    load=_load,
    names=_names,
    random=True,
)
