"""Icons of the activation vectors of one photo: the basis of dictionaries and grids."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from inverter_errors import BadInput
from recipes.evidence.evidence_fields import EvidenceFields
from recipes.options.augmentations import AUGMENTS, TRANSFORMS, AugmentName
from recipes.options.directions import chosen_layers
from recipes.options.fields import LARGEST, MOST, check_integer, option
from recipes.options.input_values import checked_size
from recipes.options.priors import HELP, PriorChoice, PriorLike
from recipes.outputs.file_names import safe_name
from recipes.outputs.vocabulary import ORIGINAL
from recipes.runner.context import RunContext, once
from recipes.runner.natural_fields import NaturalRecipe
from recipes.runner.units import Given, Problem, Unit

if TYPE_CHECKING:
    from torch import Tensor

    from inverter import Model

MANY_POSITIONS = 4096
"""More icons of a layer than these, 64 by 64, are made only with `pool`."""
CONTRAST = 1.2
"""Contrast of icons with the Fourier prior, at most that of photographs, so that a small picture stays readable."""


def strongest(vector: Tensor, count: int) -> list[tuple[int, float]]:
    """The channels with the highest positive activations.

    Args:
        vector: activations, (C,).
        count: number of channels, at most.

    Returns:
        (channel, activation) of each, highest first.

    Example:
        >>> import torch
        >>> strongest(torch.tensor([0.0, 3.0, -1.0, 5.0]), 3)
        [(3, 5.0), (1, 3.0)]
    """
    values, channels = vector.topk(min(count, len(vector)))
    return [(int(c), float(v)) for c, v in zip(channels, values, strict=True) if v > 0]


def listed(vector: Tensor, count: int, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The strongest channels as JSON values: `channel`, `value`, and `name` where it has one; see `strongest`."""
    named = [{"name": names[c]} if c < len(names) and names[c] else {} for c, _ in strongest(vector, count)]
    return [{"channel": c, "value": v} | name for (c, v), name in zip(strongest(vector, count), named, strict=True)]


@dataclass(frozen=True)
class Icon:
    """The target of one picture.

    Attributes:
        vector: activation vector, (C,).
        metrics: JSON values for the manifest.
    """

    vector: Tensor
    metrics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PhotoIcons(EvidenceFields, NaturalRecipe):
    """Activation vectors a_(y,x) of a photo, each as the picture that maximises a . Phi(x) * max(.1, cos)^power.

    The objective is the dot product of Olah et al. 2018, times the power of the cosine of Carter et al. 2019, averaged
    over the positions of the icon. Subclasses choose the icons.

    Raises:
        BadInput: for options out of their range.
    """

    merged: ClassVar[bool] = True

    image: str = option("", "the photo")
    layer: str | Sequence[str] = option("", "address of a layer with maps; may be repeated", repeat=True, grows=True)
    count: int = option(4, "number of strongest channels to list for each position")
    icon: int = option(96, "side of the icons in pixels")
    pool: str | int | Sequence[int] | None = option(
        None, "N or HxW: icons of the mean over as many positions of the map (default: of each position)"
    )
    power: float = option(2.0, "exponent of the cosine factor; 0 is the plain dot product")
    prior: PriorLike = option("fourier", HELP)
    size: str | int | Sequence[int] | None = option(
        None, "side of the photo at the network's input in pixels, or HxW (default: the model's)"
    )
    steps: int | None = option(32, "optimisation steps for each icon")
    augment: AugmentName = option("light", TRANSFORMS, choices=AUGMENTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.image, str | Path) or not str(self.image):
            raise BadInput(f"image: got {self.image!r}; expected the path of a photo")
        if not (self.layers or self.directions) or not all(isinstance(layer, str) and layer for layer in self.layers):
            raise BadInput(f"layer: got {self.layer!r}; expected addresses (inverter layers lists them)")
        check_integer("count", self.count, 1, MOST)
        check_integer("icon", self.icon, 1, LARGEST)
        object.__setattr__(self, "pool", checked_size(self.pool, "pool"))
        if not 0 <= self.power <= 100:
            raise BadInput(f"power must be in [0, 100], got {self.power!r}")
        PriorChoice.parse(self.prior)
        self.check_judge()

    @property
    def layers(self) -> tuple[str, ...]:
        """Addresses that were named; those of the directions' latents where none is."""
        named = (self.layer,) if isinstance(self.layer, str) else tuple(dict.fromkeys(self.layer))
        return () if self.directions and named == ("",) else named

    @once
    def _addresses(self, context: RunContext) -> list[str]:
        return chosen_layers(context.model, self.layers, self.directions)

    def settings(self) -> dict[str, Any]:
        # One spelling of what has several, so that a run can be resumed with any of them.
        return (
            super().settings()
            | self.judge_settings()
            | {"layer": list(self.layers), "prior": str(PriorChoice.parse(self.prior))}
        )

    def _photo(self, model: Model) -> Tensor:
        from recipes.pictures.reading import fit, read_picture

        photo = read_picture(self.image, len(model.mean), value_range=model.value_range)
        return fit(photo, self.picture_size(model))

    @once
    def _maps(self, context: RunContext) -> dict[str, Tensor]:
        """The photo's activations (C, H, W) at each layer.

        Raises:
            BadInput: for a photo that cannot be read, or a layer without maps or without activation for the photo.
        """
        from inverter import encode

        model = context.model
        photo, choice = self._photo(model), PriorChoice.parse(self.prior)
        layers = self._addresses(context)
        for layer in layers:
            model.check_layer(layer)
        side = self._icon_size(context)
        choice.check(side, model)
        for layer, shape in model.shapes(layers, choice.window(side, model)).items():
            if len(shape) != 4:
                raise BadInput(
                    f"layer {layer!r} outputs a tensor of shape {tuple(shape)}, expected a map (B, C, H, W): choose "
                    "another layer (inverter layers lists them)"
                )
        maps = {layer: self._pooled(code)[0] for layer, code in encode(model, photo[None], layers).items()}
        for layer, activations in maps.items():
            if not bool(activations.any()):
                raise BadInput(f"layer {layer!r} is all zero for {self.image}: choose another layer or photo")
        return maps

    def _pooled(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W), or means over their positions."""
        from torch.nn import functional as F

        pool = checked_size(self.pool, "pool")
        return maps if pool is None else F.avg_pool2d(maps, pool, ceil_mode=True)

    @once
    def _icon_size(self, context: RunContext) -> tuple[int, int]:
        """(height, width) in pixels at which the icons are made; they are written with sides of `icon`."""
        model, side = context.model, (self.icon, self.icon)
        window = PriorChoice.parse(self.prior).window(side, model)
        return side if model.nearest_size(self._addresses(context), window) == window else model.input_size

    @once
    def _icons(self, context: RunContext) -> dict[Unit, Icon]:
        """All icons by unit, in order.

        Raises:
            BadInput: for a layer with very many positions, unless `pool` is given.
        """
        found: dict[Unit, Icon] = {}
        for layer, maps in self._maps(context).items():
            directions = context.model.directions_of(layer)
            icons = dict(self.icons(layer, maps, directions.names if directions else ()))
            if len(icons) > MANY_POSITIONS and self.pool is None:
                raise BadInput(
                    f"layer {layer!r} has {maps.shape[1]}x{maps.shape[2]} positions, which makes {len(icons):,} "
                    "pictures: set pool to N or HxW for means over as many positions, or to 1 to make them all"
                )
            found |= icons
        return found

    @abstractmethod
    def icons(self, layer: str, maps: Tensor, names: Sequence[str]) -> list[tuple[Unit, Icon]]:
        """The icons of one layer, with their units.

        Args:
            layer: its address.
            maps: (C, H, W), its activations for the photo.
            names: of its channels, empty if they have none.
        """

    def units(self, context: RunContext) -> list[Unit]:
        name = Path(self.image).stem
        photo = Unit("", None, ORIGINAL, f"originals/{safe_name(name)}.png", image=name, batch=ORIGINAL)
        return [photo, *self._icons(context)]

    def position_icon(self, layer: str, maps: Tensor, y: int, x: int, names: Sequence[str] = ()) -> tuple[Unit, Icon]:
        """The icon of the activation vector at one position of the layer's `maps` (C, H, W)."""
        vector = maps[:, y, x]
        metrics = {
            "position": [y, x],
            "map_size": list(maps.shape[1:]),
            "magnitude": float(vector.norm()),
            "channels": listed(vector, self.count, names),
        }
        file = f"images/{safe_name(layer)}/position-{y:03d}-{x:03d}.png"
        return Unit(layer, None, "direction", file, batch=f"{layer} direction"), Icon(vector, metrics)

    def problem(self, context: RunContext, units: Sequence[Unit]) -> Problem | Given:
        import torch

        from objectives import channel, direction

        model = context.model
        if units[0].objective == ORIGINAL:
            return Given(self._photo(model)[None])
        layer = units[0].layer
        if units[0].objective == "channel":
            objective = measure = channel(layer, [unit.channel for unit in units if unit.channel is not None])
        else:
            icons = self._icons(context)
            vectors = torch.stack([icons[unit].vector for unit in units])
            vectors = vectors / vectors.norm(
                dim=1, keepdim=True
            )  # weak positions get gradients as large as strong ones
            objective, measure = direction(layer, vectors, power=self.power), direction(layer, vectors)
        choice = PriorChoice.parse(self.prior)
        defaults = {"contrast": CONTRAST} if choice.name == "fourier" else {}
        size, written = self._icon_size(context), (self.icon, self.icon)
        prior = choice.make(len(units), size, model, **defaults)
        finish = choice.finish(prior, None if size == written else written)
        return Problem(objective, prior, measure, finish=finish, alpha=choice.alpha)

    def metrics(self, context: RunContext, units: Sequence[Unit], images: Tensor) -> list[dict[str, Any]]:
        """Of an icon, the cosine between its mean activation and its vector."""
        from torch.nn import functional as F

        from inverter import encode

        if units[0].objective == ORIGINAL:
            return [{"source": Path(self.image).name}]
        layer = units[0].layer
        rows = []
        means = encode(context.model, images, layer)[layer].mean((2, 3))
        for unit, mean in zip(units, means, strict=True):
            icon = self._icons(context)[unit]
            cosine = float(F.cosine_similarity(mean, icon.vector, dim=0))
            rows.append({**icon.metrics, "cosine": cosine, "patches": [self._patch(context, layer, icon)]})
        return rows

    def _patch(self, context: RunContext, layer: str, icon: Icon) -> dict[str, Any]:
        """Where in the photo the layer is most like an icon: its own position, else where its vector responds most."""
        maps = self._maps(context)[layer]
        response = (icon.vector @ maps.flatten(1)).view(maps.shape[1:])
        y, x = icon.metrics.get("position") or divmod(int(response.argmax()), maps.shape[2])
        pool = checked_size(self.pool, "pool") or 1
        high, wide = (pool, pool) if isinstance(pool, int) else pool
        photo = next(unit for unit in self.units(context) if unit.objective == ORIGINAL)
        at = [y * high + high // 2, x * wide + wide // 2]
        return {"picture": photo.file, "name": photo.image, "value": float(response[y, x]), "at": at}

    def page(self, manifest: Mapping[str, Any]) -> str:
        from recipes.photo.page import render_photo

        return render_photo(manifest)
