"""Priors by name and options, as `--prior` and `[prior]` in a recipe file choose them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inverter_errors import BadInput
from recipes.options.named import fits_type, option_types, parse_options, write_options
from recipes.options.suggest import nearest

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model
    from priors import Prior

PriorLike = str | Mapping[str, Any]
"""How a prior may be written: `maco`, `pixels:total_variation=4,blur=.6`, or a table {"name": "pixels", ...}."""

NAMES = ("fourier", "pixels", "pyramid", "maco", "deep-image", "cppn", "gan", "plug-and-play", "decoder", "accentuate")
"""The keys of `priors.registry.PRIORS`, written out: help texts do not wait for torch."""
BUNDLED = ("gan", "plug-and-play")
"""Priors with a generator of their own, of natural pictures."""
STARTS = ("fourier", "pixels", "pyramid", "maco", "decoder")
"""Priors that can start from an image; `decoder` with an encoder alone."""
HELP = "NAME or NAME:OPTION=VALUE,...; NAME is " + ", ".join(NAMES)

_OWN: dict[str, dict[str, str]] = {
    "maco": {"transparent": "bool"},
    "cppn": {"render": "int"},
    "gan": {"generator": "str", "weights": "str"},
    "plug-and-play": {"generator": "str", "weights": "str", "denoiser": "str", "denoiser_weights": "str"},
    "decoder": {"decoder": "str", "weights": "str", "encoder": "str", "encoder_weights": "str"},
    "accentuate": {"image": "str", "start": "str", "weights": "str", "strength": "float", "layer": "str"},
}
"""Options that recipes add to those of the class, with their types."""
_MODULES = (
    ("generator", "weights"),
    ("denoiser", "denoiser_weights"),
    ("decoder", "weights"),
    ("encoder", "encoder_weights"),
)
"""Options that name a module, each with the option that names its weights."""


@dataclass(frozen=True)
class PriorChoice:
    """A prior's name with options.

    The options are those of its class in `priors`, and some that recipes add:

    - `maco`: `transparent=true` writes pictures whose alpha channel is the importance mask (Fel et al. 2023);
    - `cppn`: `render=1024` writes the pictures at this size, whatever size they were optimised at;
    - `gan`, `plug-and-play`: `generator=FILE.py:FACTORY`, `weights=FILE`, and a denoiser in the same way;
    - `decoder`: `weights=FILE` of a tiny autoencoder (`priors.tiny_autoencoder`), or `decoder=FILE.py:FACTORY` and
      `encoder=FILE.py:FACTORY` with `weights` and `encoder_weights`;
    - `accentuate`: `image=PHOTO`, the image to stay close to, `strength`, `start` (the prior that starts from it, with
      `weights=FILE` for `decoder`), and `layer`, in whose features the distance is measured (default: pixels).

    Attributes:
        name: one of `NAMES`.
        options: option -> value.

    Raises:
        BadInput: for an unknown name or option (it suggests similar ones), or a value of another type.

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
        """The choice of a text or a table."""
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
        from priors.registry import PRIORS

        return PRIORS[self.name]

    def _known(self) -> dict[str, str]:
        """The options with their types, as text."""
        options = option_types(self._class())
        given = ("images", "features", "start") if self.name == "accentuate" else ("count", "size", "image_channels")
        return {key: kind for key, kind in options.items() if key not in given} | _OWN.get(self.name, {})

    def make(self, count: int, size: tuple[int, int], model: Model, **defaults: Any) -> Prior:
        """Makes the prior.

        Args:
            count: number of pictures, of as many channels as the network takes.
            size: (height, width) in pixels.
            model: the network, in whose layer `accentuate` may measure the distance.
            **defaults: options of the recipe, which override the prior's defaults and are overridden by the choice's.

        Raises:
            BadInput: for a value out of range.
            OSError: for a file that cannot be read.
        """
        options = defaults | {"image_channels": len(model.mean)} | dict(self.options)
        if self.name == "accentuate":
            return _accentuate(count, size, model, **options)
        try:
            return self._class()(count, size, **self._resolved(options))
        except (TypeError, RuntimeError, OverflowError) as error:  # e.g. a list of another type, or a huge number
            raise BadInput(f"prior {self}: {' '.join(str(error).split())}") from error

    def _resolved(self, options: dict[str, Any]) -> dict[str, Any]:
        """Arguments of the class: without options of recipes, and with modules in place of the names of their files."""
        for own in ("transparent", "render"):
            options.pop(own, None)
        if self.name == "decoder" and "decoder" not in options and (weights := options.pop("weights", None)):
            options |= _autoencoder(weights)
        known = option_types(self._class())
        for module, weights in _MODULES:
            if module not in known:
                continue
            if isinstance(spec := options.get(module), str):
                options[module] = _module(spec, options.pop(weights, None))
            elif options.pop(weights, None) is not None:
                raise BadInput(f"prior {self.name}: {weights} requires {module}=FILE.py:FACTORY")
        return options

    def at(self, images: Tensor, **defaults: Any) -> Prior:
        """Makes the prior that starts from images, for one of `STARTS`.

        Args:
            images: (B, C, H, W) in [0, 1].
            **defaults: as in `make`.
        """
        prior: Prior = self._class().from_image(images, **self._resolved(defaults | dict(self.options)))
        return prior

    def window(self, size: tuple[int, int], model: Model) -> tuple[int, int]:
        """(height, width) of the network's input for pictures of `size`: a canvas is optimised in crops."""
        from inverter.augment import Augment

        return Augment().cropped(size, model.input_size).window(size) if self._class().cropped else size

    def shown_size(self, size: tuple[int, int], model: Model) -> tuple[int, int]:
        """(height, width) at which the network classifies finished pictures of `size`: see `inverter.scoring`."""
        from inverter.scoring import shown_size

        return shown_size(model, self._class().cropped, size)

    def check(self, size: tuple[int, int], model: Model) -> None:
        """Raises what `make` raises, before anything is written."""
        self.make(1, size, model)
        channels = len(model.mean)
        if self.name in BUNDLED and "generator" not in self.options and channels not in (1, 3):
            warnings.warn(
                f"prior {self.name}: the bundled generator makes grey pictures, the same in each of {channels} "
                "channels; give another with generator=FILE.py:FACTORY",
                stacklevel=1,  # one place for all, so that it is shown once
            )

    @property
    def alpha(self) -> bool:
        """True if the last channel of the pictures that are written is opacity."""
        return self.name == "maco" and bool(self.options.get("transparent"))

    def finish(self, prior: Prior, size: tuple[int, int] | None = None) -> Callable[[Tensor], Tensor] | None:
        """The function from finished pictures (B, C, H, W) to those that are written; None if these are the same.

        Args:
            prior: of the pictures.
            size: (height, width) in pixels of those that are written, if they are smaller.
        """
        if size is not None:
            return _shrunk(self.finish(prior), size)
        from priors import Cppn, Maco

        if isinstance(prior, Cppn) and (size := self.options.get("render")):
            return lambda _images: prior.render(size).cpu()
        if isinstance(prior, Maco) and self.alpha:
            import torch

            return lambda images: torch.cat([images, prior.transparency().cpu()], 1)
        return None


def _shrunk(finish: Callable[[Tensor], Tensor] | None, size: tuple[int, int]) -> Callable[[Tensor], Tensor]:
    from torch.nn import functional as F

    def shrunk(images: Tensor) -> Tensor:
        images = images if finish is None else finish(images)
        return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)

    return shrunk


def _module(spec: str, weights: str | None) -> Any:
    from inverter.loading import load_module

    return load_module(spec, weights)


def _autoencoder(weights: str) -> dict[str, Any]:
    """Decoder and encoder of a file of weights, as arguments of `priors.Decoder`."""
    from inverter.checkpoints import find_weights, read_state
    from priors.tiny_autoencoder import tiny_autoencoder

    decoder, encoder = tiny_autoencoder(read_state(find_weights(weights)), weights)
    return {"decoder": decoder, "encoder": encoder}


def _accentuate(
    count: int,
    size: tuple[int, int],
    model: Model,
    image: str | None = None,
    start: str = "fourier",
    weights: str | None = None,
    strength: float = 1.0,
    layer: str | None = None,
    image_channels: int = 3,
) -> Prior:
    import priors
    from recipes.pictures.reading import fit, read_picture

    if image is None:
        raise BadInput("prior accentuate requires an image to stay close to: accentuate:image=PHOTO")
    if start not in STARTS:
        raise BadInput(f"prior accentuate: unknown start {start!r}{nearest(start, STARTS)}")
    if (start == "decoder") != (weights is not None):
        raise BadInput(
            "prior accentuate: start=decoder requires weights=FILE of an autoencoder, and only it takes them"
        )
    # As in the paper, of MACO only phases are optimised.
    own = {"maco": {"keep_magnitude": True}, "decoder": {} if weights is None else _autoencoder(weights)}
    begin: Callable[[Tensor], Prior] = partial(PriorChoice(start)._class().from_image, **own.get(start, {}))
    read = read_picture(Path(image), image_channels, value_range=model.value_range)
    photo = fit(read, size).expand(count, -1, -1, -1)
    return priors.Accentuate(photo, begin, strength, None if layer is None else _features(model, layer))


def _features(model: Model, layer: str) -> Callable[[Tensor], Tensor]:
    model.check_layer(layer)

    def features(image: Tensor) -> Tensor:
        with model.capture([layer]) as capture:
            return capture(model.normalize(image))[layer]

    return features
