"""The references of what a run used, as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from recipes.attribution.registry import NAMES as METHODS
from recipes.attribution.registry import MethodChoice
from recipes.options.priors import NAMES as PRIORS
from recipes.options.priors import PriorChoice
from recipes.outputs.manifest import Manifest

FILE = Path(__file__).with_name("references.bib")

RECIPES: Mapping[str, Sequence[str]] = {
    "gallery": ("erhan2009", "olah2017"),
    "classes": ("simonyan2014", "olah2017"),
    "mix": ("olah2017",),
    "invert": ("mahendran2015",),
    "train-inverter": ("dosovitskiy2016",),
    "dream": ("mordvintsev2015",),
    "inpaint": ("ulyanov2018",),
    "patches": ("borowski2021", "araujo2019"),
    "names": ("oikarinen2023",),
    "dictionary": ("olah2018",),
    "grid": ("olah2018",),
    "atlas": ("carter2019", "mcinnes2018"),
    "compare": ("kornblith2019", "lenc2015", "li2016"),
    "concepts": ("kim2018",),
    "craft": ("fel2023craft",),
    "learn-directions": (),  # those of its methods
    "circuit": ("olah2020", "cammarata2021"),
    "polysemantic": ("dreyer2024",),
    "microscope": ("olah2017", "simonyan2014", "olah2020"),
    "adversarial": ("szegedy2014", "pintor2021"),
    "explain": (),  # those of its methods
    "judge-maps": ("zhang2016", "petsiuk2018", "adebayo2018sanity"),
    "statistics": (),
}
"""Recipe -> keys of references."""
OF_PRIORS: Mapping[str, Sequence[str]] = {
    "fourier": ("olah2017", "mordvintsev2018"),
    "pixels": ("mahendran2015",),
    "pyramid": ("burt1983",),
    "maco": ("fel2023",),
    "deep-image": ("ulyanov2018",),
    "cppn": ("stanley2007", "mordvintsev2018"),
    "gan": ("nguyen2016",),
    "plug-and-play": ("nguyen2017",),
    "decoder": (),
    "accentuate": ("hamblin2024",),
}
"""Prior -> keys of references."""
AUTOENCODERS: Mapping[str, Sequence[str]] = {"topk": ("gao2024",), "jumprelu": ("rajamanoharan2024",)}
"""Gate of a sparse autoencoder -> keys of references."""
NATURAL = ("yin2020", "gorgun2025")
JUDGED = ("zimmermann2024", "geirhos2024")


@cache
def references() -> dict[str, str]:
    """All references: key -> BibTeX entry."""
    entries = re.split(r"\n(?=@)", FILE.read_text(encoding="utf-8").strip())
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry.strip() for entry in entries}


def key_of_paper(paper: str) -> str:
    """The key of a reference that is written as authors and year.

    Example:
        >>> key_of_paper("Fong & Vedaldi 2017")
        'fong2017'
    """
    return re.split(r"[ ,&]", paper)[0].lower() + paper[-4:]


def keys_of(manifest: Manifest) -> list[str]:
    """Keys of the references of what a run used: its recipe, priors, attribution methods, statistics and judges.

    Args:
        manifest: of the run.

    Returns:
        Each once, in this order.
    """
    settings, found = manifest.settings, list(RECIPES.get(manifest.recipe, ()))
    for prior in _texts(settings.get("prior")) if manifest.recipe != "inpaint" else ():
        if prior.partition(":")[0] in PRIORS:
            found += OF_PRIORS[PriorChoice.parse(prior).name]
    for method in _texts(settings.get("method")):
        if method.partition(":")[0] in METHODS:
            found.append(key_of_paper(MethodChoice.parse(method).method().paper))
    if manifest.recipe == "learn-directions" and settings.get("method") == "sae":
        found += AUTOENCODERS.get(str(settings.get("gate", "topk")), ())
    if settings.get("attempts") not in (None, 1) and manifest.recipe == "gallery":
        found.append("olah2017")
    if settings.get("facets"):
        found.append("nguyen2016multifaceted")
    if settings.get("natural"):
        found += NATURAL
    if settings.get("judge"):
        found += JUDGED
    return list(dict.fromkeys(found))


def as_bibtex(manifest: Manifest) -> str:
    """The BibTeX entries of what a run used; "" if there are none."""
    known = references()
    return "\n\n".join(known[key] for key in keys_of(manifest)) + "\n" if keys_of(manifest) else ""


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for text in value if isinstance(text, str)] if isinstance(value, list | tuple) else []
