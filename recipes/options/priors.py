"""Priors by name and options: what `--prior` and TOML's `[prior]` choose, for every recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.options.named import fits_type, parse_options, write_options
from recipes.options.suggest import nearest

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from priors import Prior

PriorLike = str | Mapping[str, Any]
"""How a prior may be written: `maco`, `pixels:total_variation=4,blur=.6`, or a table {"name": "pixels", ...}."""

NAMES = ("fourier", "pixels", "pyramid", "maco", "deep-image", "cppn", "gan", "plug-and-play", "accentuate")
STARTS = ("fourier", "pixels", "pyramid", "maco")
"""Those that can start from a picture."""
HELP = "NAME or NAME:OPTION=VALUE,...; NAME is " + ", ".join(NAMES)

_OWN: dict[str, dict[str, str]] = {
    "maco": {"transparent": "bool"},
    "cppn": {"render": "int"},
    "gan": {"generator": "str", "weights": "str"},
    "plug-and-play": {"generator": "str", "weights": "str", "denoiser": "str", "denoiser_weights": "str"},
    "accentuate": {"image": "str", "start": "str", "strength": "float", "layer": "str"},
}
"""Options that a recipe adds to a prior's own, with their types."""


@dataclass(frozen=True)
class PriorChoice:
    """A prior's name with its options, which are those of its class (`priors`) and some that only a recipe can serve:

    - `maco`: `transparent=true` writes pictures whose alpha channel is the importance mask (Fel et al. 2023);
    - `cppn`: `render=1024` writes the pictures at this size, whatever size they were optimised at;
    - `gan`, `plug-and-play`: `generator=FILE.py:FACTORY`, `weights=FILE`, and a denoiser in the same way;
    - `accentuate`: `image=PHOTO` to keep near to, `strength`, `start` (the prior that starts there), and `layer`, whose
      features measure the distance (default: pixels).

    Raises:
        BadInput: for an unknown name or option (with near ones), or a value of another type.

    Example:
        >>> PriorChoice.parse("pixels:blur=.6, l2=1")
        PriorChoice(name='pixels', options={'blur': 0.6, 'l2': 1})
        >>> str(PriorChoice.parse({"name": "deep-image", "channels": [8, 16]}))
        'deep-image:channels=[8, 16]'
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise BadInput(f"unknown prior {self.name!r}{nearest(self.name, NAMES)}")
        for key, value in self.options.items() if self.options else ():
            known = self._known()
            if key not in known:
                raise BadInput(f"prior {self.name} has no option {key!r}{nearest(key, known)}")
            if not fits_type(value, known[key]):
                raise BadInput(f"prior {self.name}: {key} must be of type {known[key]}, got {value!r}")

    @classmethod
    def parse(cls, given: PriorLike) -> PriorChoice:
        """A choice from a text or a table."""
        if isinstance(given, Mapping):
            options = dict(given)
            name = options.pop("name", None)
            if not isinstance(name, str):
                raise BadInput(f"prior: a table needs a name, one of {', '.join(NAMES)}; got {dict(given)!r}")
            return cls(name, options)
        if not isinstance(given, str):
            raise BadInput(f"prior must be text or a table with a name, got {given!r}")
        return cls(*parse_options(given, "prior"))

    def __str__(self) -> str:
        return write_options(self.name, self.options)

    def _class(self) -> Any:  # a subclass of Prior, each with arguments of its own
        import priors

        classes = (priors.Fourier, priors.Pixels, priors.Pyramid, priors.Maco, priors.DeepImage, priors.Cppn)
        return dict(zip(NAMES, (*classes, priors.GanLatent, priors.PlugAndPlay, priors.Accentuate), strict=True))[
            self.name
        ]

    def _known(self) -> dict[str, str]:
        """The options with the types that they may have, as text."""
        parameters = inspect.signature(self._class()).parameters
        options = {key: str(parameter.annotation) for key, parameter in parameters.items()}
        given = ("count", "size", "images", "features", "start") if self.name == "accentuate" else ("count", "size")
        return {key: kind for key, kind in options.items() if key not in given} | _OWN.get(self.name, {})

    def make(self, count: int, size: tuple[int, int], model: Model, **defaults: Any) -> Prior:
        """The prior of so many pictures of `size` (height, width).

        Args:
            model: whose layer measures the distance of `accentuate`.
            defaults: options that a recipe prefers to the prior's own.

        Raises:
            BadInput, OSError: if the prior does not take an option's value, or a file of it cannot be read.
        """
        options = defaults | dict(self.options)
        if self.name == "accentuate":
            return _accentuate(count, size, model, **options)
        for own in ("transparent", "render"):
            options.pop(own, None)
        for module, weights in (("generator", "weights"), ("denoiser", "denoiser_weights")):
            if isinstance(spec := options.get(module), str):
                options[module] = _module(spec, options.pop(weights, None))
            elif options.pop(weights, None) is not None:
                raise BadInput(f"prior {self.name}: {weights} says nothing without {module}=FILE.py:FACTORY")
        try:
            return self._class()(count, size, **options)
        except (TypeError, RuntimeError, OverflowError) as error:  # a list of the wrong things, say, or a huge number
            raise BadInput(f"prior {self}: {' '.join(str(error).split())}") from error

    def at(self, images: Tensor, **defaults: Any) -> Prior:
        """The prior that starts at `images` (B, 3, H, W) in [0, 1], of those that can and whose options are their own.

        Args:
            defaults: options that a recipe prefers to the prior's own.
        """
        prior: Prior = self._class().from_image(images, **(defaults | dict(self.options)))
        return prior

    def window(self, size: tuple[int, int], model: Model) -> tuple[int, int]:
        """(height, width) of what the network is shown of pictures of `size`: of a canvas, crops."""
        from inverter.augment import Augment

        return Augment().cropped(size, model.input_size).window(size) if self._class().cropped else size

    def asked_size(self, size: tuple[int, int], model: Model) -> tuple[int, int]:
        """(height, width) at which the network is asked about finished pictures of `size`: see `inverter.scoring`."""
        from inverter.scoring import asked_size

        return asked_size(model, self._class().cropped, size)

    def check(self, size: tuple[int, int], model: Model) -> None:
        """Raises what `make` would raise, before anything is written."""
        self.make(1, size, model)

    def finish(self, prior: Prior) -> Callable[[Tensor], Tensor] | None:
        """What makes of the finished pictures (B, 3, H, W) those that are written; None if they are."""
        from priors import Cppn, Maco

        if isinstance(prior, Cppn) and (size := self.options.get("render")):
            return lambda _images: prior.render(size).cpu()
        if isinstance(prior, Maco) and self.options.get("transparent"):
            import torch

            return lambda images: torch.cat([images, prior.transparency().cpu()], 1)
        return None


def _module(spec: str, weights: str | None) -> Any:
    from inverter.loading import load_module

    return load_module(spec, weights)


def _accentuate(
    count: int,
    size: tuple[int, int],
    model: Model,
    image: str | None = None,
    start: str = "fourier",
    strength: float = 1.0,
    layer: str | None = None,
) -> Prior:
    import priors
    from recipes.pictures.reading import fit, read_picture

    if image is None:
        raise BadInput("prior accentuate needs the picture to keep near to: accentuate:image=PHOTO")
    if start not in STARTS:
        raise BadInput(f"prior accentuate: unknown start {start!r}{nearest(start, STARTS)}")
    starts: dict[str, Callable[[Tensor], Prior]] = {
        "fourier": priors.Fourier.from_image,
        "pixels": priors.Pixels.from_image,
        "pyramid": priors.Pyramid.from_image,
        "maco": partial(priors.Maco.from_image, keep_magnitude=True),  # the paper's: phases alone
    }
    photo = fit(read_picture(Path(image)), size).expand(count, -1, -1, -1)
    return priors.Accentuate(photo, starts[start], strength, None if layer is None else _features(model, layer))


def _features(model: Model, layer: str) -> Callable[[Tensor], Tensor]:
    model.check_layer(layer)

    def features(image: Tensor) -> Tensor:
        with model.capture([layer]) as capture:
            return capture(model.normalize(image))[layer]

    return features
