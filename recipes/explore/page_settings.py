"""What pages may ask for: recipes, their settings, and the limits of each value. Everything else is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from recipes.explore import photos
from recipes.explore.server.access import Refused
from recipes.options.augmentations import AUGMENTS

if TYPE_CHECKING:
    from recipes.explore.session import Session

MOST_STEPS, LARGEST, MOST_ATTEMPTS, MOST_CHANNELS, MOST_TERMS = 512, 512, 8, 64, 16
LONGEST = 200
"""Characters of a text."""
SMALLEST = 16
TARGETS = ("logit", "softmax", "channel", "neuron", "layer", "head", "attention")
"""Targets that name no file."""
Check = Callable[["Session", Any], Any]
"""Returns a value as the recipe takes it, or raises Refused."""


def _refuse(name: str, value: Any, expected: str) -> Refused:
    return Refused(400, f"{name}: got {str(value)[:60]!r}; expected {expected}")


def _integer(name: str, least: int, most: int) -> Check:
    def check(_session: Session, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _refuse(name, value, f"an integer from {least} to {most}")
        return value

    return check


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
        raise _refuse(name, value, f"a text of {LONGEST} characters at most")
    return value


def _texts(name: str, most: int, pattern: str = ".*") -> Check:
    def check(_session: Session, value: Any) -> list[str]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list) or not 0 < len(given) <= most:
            raise _refuse(name, value, f"a list of {most} texts at most")
        for text in given:
            if not re.fullmatch(pattern, _text(name, text), re.ASCII | re.DOTALL):
                raise _refuse(name, text, f"the form {pattern}")
        return given

    return check


def _choice(name: str, known: Callable[[], tuple[str, ...]]) -> Check:
    def check(_session: Session, value: Any) -> str:
        if value not in known():
            raise _refuse(name, value, "one of those that the page offers")
        return str(value)

    return check


def _yes(name: str) -> Check:
    def check(_session: Session, value: Any) -> bool:
        if not isinstance(value, bool):
            raise _refuse(name, value, "true or false")
        return value

    return check


def _layer(session: Session, value: Any) -> str:
    address = _text("layer", value)
    session.layer(address)
    return address


def _layer_or_output(session: Session, value: Any) -> str:
    return "output" if value == "output" else _layer(session, value)


def _channels(_session: Session, value: Any) -> str:
    text = _text("channels", str(value) if isinstance(value, int) else value)
    parts = text.split(",")
    if len(parts) > MOST_CHANNELS or not all(re.fullmatch(r"\d{1,7}", part, re.ASCII) for part in parts):
        raise _refuse("channels", value, f"a list of {MOST_CHANNELS} numbers at most, such as 3,17")
    return text


def _rate(_session: Session, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1e-6 <= value <= 10:
        raise _refuse("learning_rate", value, "a number from 1e-6 to 10")
    return float(value)


def _natural(session: Session, value: Any) -> str | None:
    if not _yes("natural")(session, value):
        return None
    if session.natural is None:
        raise Refused(400, f"natural: {session.model.spec} brings no statistics of natural images with it")
    return session.natural


def _prior(_session: Session, value: Any) -> str:
    from recipes.explore.network_map import PRIORS, TUNED
    from recipes.options.priors import PriorChoice

    choice = PriorChoice.parse(_text("prior", value))
    if choice.name not in PRIORS or (choice.options and choice.name not in TUNED):
        raise _refuse("prior", value, f"one of {', '.join(PRIORS)}; {', '.join(TUNED)} may have options")
    for key, number in choice.options.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise _refuse(f"prior: {key}", number, "a number")
        if abs(number) > 1e4:
            raise _refuse(f"prior: {key}", number, "a number from -1e4 to 1e4")
    return str(choice)


def _photo(session: Session, value: Any) -> str:
    return str(photos.find(session, _text("photo", value)))


def _target(_session: Session, value: Any) -> str:
    from recipes.options.targets import Target

    target = Target.parse(_text("target", value))
    if target.kind not in TARGETS:
        raise _refuse("target", value, f"one of {', '.join(TARGETS)}")
    return str(target)


def _methods() -> tuple[str, ...]:
    from recipes.attribution.registry import NAMES

    return tuple(NAMES)


def _objectives() -> tuple[str, ...]:
    return ("channel", "neuron", "logit", "softmax")


_PICTURE: Mapping[str, Check] = {
    "prior": _prior,
    "steps": _integer("steps", 1, MOST_STEPS),
    "size": _integer("size", SMALLEST, LARGEST),
    "augment": _choice("augment", lambda: AUGMENTS),
    "seed": _integer("seed", 0, 2**31),
    "learning_rate": _rate,
    "natural": _natural,
}
_ATTEMPTS = _integer("attempts", 1, MOST_ATTEMPTS)
ALLOWED: Mapping[str, Mapping[str, Check]] = {
    "gallery": {
        **_PICTURE,
        "layer": _layer,
        "channels": _channels,
        "objective": _choice("objective", _objectives),
        "attempts": _ATTEMPTS,
        "negative": _yes("negative"),
    },
    "mix": {**_PICTURE, "terms": _texts("terms", MOST_TERMS), "attempts": _ATTEMPTS},
    "patches": {"layer": _layer, "channels": _channels},
    "circuit": {"layer": _layer, "channels": _channels, "count": _integer("count", 1, 12)},
    "invert": {
        "photo": _photo,
        "layer": _layer_or_output,
        "prior": _prior,
        "steps": _PICTURE["steps"],
        "size": _PICTURE["size"],
        "seed": _PICTURE["seed"],
    },
    "dream": {
        "photo": _photo,
        "layer": _layer,
        "channels": _channels,
        "steps": _integer("steps", 1, 64),
        "size": _PICTURE["size"],
        "seed": _PICTURE["seed"],
    },
    "explain": {
        "photo": _photo,
        "method": _choice("method", _methods),
        "target": _target,
        "layer": _layer,
    },
    "dictionary": {
        "photo": _photo,
        "layer": _layer,
        "positions": _texts("positions", 16, r"\d{1,4},\d{1,4}"),
        "size": _PICTURE["size"],
        "steps": _PICTURE["steps"],
        "seed": _PICTURE["seed"],
    },
}
"""Recipe -> the settings that a page may give, with their checks."""
NAMES = {"photo": "image", "terms": "term"}
"""Settings of pages whose field has another name."""


def checked(session: Session, recipe: object, given: object) -> tuple[str, dict[str, Any]]:
    """A recipe's name and its fields, of what a page asks for.

    Args:
        session: of the server.
        recipe: its name.
        given: its settings.

    Returns:
        The name, and the fields as the recipe takes them.

    Raises:
        Refused: for another recipe or setting, or a value out of its range.
        BadInput: for text of another form.
    """
    if not isinstance(recipe, str) or recipe not in ALLOWED:
        raise Refused(400, f"recipe: got {str(recipe)[:60]!r}; expected one of {', '.join(ALLOWED)}")
    if not isinstance(given, dict):
        raise Refused(400, "settings: expected an object")
    checks, fields = ALLOWED[recipe], dict[str, Any]()
    for key, value in given.items():
        if key not in checks:
            raise Refused(400, f"{recipe} takes no setting {str(key)[:60]!r} of a page; it takes {', '.join(checks)}")
        fields[NAMES.get(str(key), str(key))] = checks[key](session, value)
    if recipe == "dream":
        channels = fields.pop("channels", None)
        if channels is not None and "layer" in fields:
            fields["layer"] = [f"{fields['layer']}:{channel}" for channel in channels.split(",")]
        fields.setdefault("size", LARGEST)
    return recipe, fields
