"""The units of a network: one neuron, one channel, or an entire layer (DeepDream)."""

from __future__ import annotations

import torch
from torch import Tensor

from inverter_errors import BadInput, BadType, OutOfRange, plural
from objectives.base import Activations, Objective, as_targets
from objectives.targets import Targets

Index = int | list[int] | tuple[int, ...] | range | Tensor


def as_map(activation: Tensor, layer: str) -> Tensor:
    """An activation as a map (B, C, H, W); a vector (B, C) becomes a map of one position, a (B,) one of one channel.

    A network that drops all dimensions of size 1 returns () for a single picture: one number as well.

    Raises:
        BadInput: for any other number of dimensions.
    """
    if activation.ndim < 2:
        return activation.reshape(-1, 1, 1, 1)
    if activation.ndim == 2:
        return activation[:, :, None, None]
    if activation.ndim != 4:
        raise BadInput(
            f"layer {layer!r} outputs a tensor of shape {tuple(activation.shape)}, "
            "expected a map (B, C, H, W), a vector (B, C) or one number for each picture (B,): choose another layer"
        )
    return activation


def check_channels(channels: Tensor, count: int, layer: str) -> None:
    """Checks channel indices against the number of channels of a layer.

    Raises:
        OutOfRange: if an index is `count` or more.
    """
    if (highest := int(channels.max())) >= count:
        what = f"layer {layer!r} has" if layer else "the model's output has"
        raise OutOfRange(f"channel {highest} is out of range: {what} {plural(count, 'channel')} (0 to {count - 1})")


def select_channels(activation: Tensor, channels: Tensor, layer: str) -> Tensor:
    """Channel channels[i] of image i: (B, C, H, W) -> (B, H, W), in float32.

    Raises:
        BadInput: if there are more targets than one, and not one for each image.
    """
    images = activation.shape[0]
    if channels.shape[0] not in (1, images):
        raise BadInput(
            f"{plural(channels.shape[0], 'target')} for a batch of {plural(images, 'image')}: give one "
            "target, or one per image"
        )
    if channels.shape[0] == 1:
        return activation.index_select(1, channels).squeeze(1).float()
    return activation[torch.arange(images, device=activation.device), channels].float()


def channel(layer: str, channel: Index) -> Objective:
    """The mean of one channel over the map (Olah et al. 2017, "Feature Visualization": channel objective).

    Args:
        layer: address of a layer that outputs maps (B, C, H, W) or vectors (B, C).
        channel: index, or one index per image.

    Returns:
        The objective, with one target for each index.

    Raises:
        BadType: for an index that is not an integer.
        BadInput: for a negative index or none at all; when scored, for a layer that outputs neither maps nor vectors,
            or a batch of another size than the number of targets.
        NotFound: when scored, if the layer has no such channel (an `IndexError` as well) or was not captured.

    Example:
        >>> channel("conv", [0, 1]).score(Activations({"conv": torch.ones(2, 3, 4, 4)}))
        tensor([1., 1.])
    """
    channels = as_targets(channel, f"channel of {layer!r}")
    targets, highest = Targets(channels), channels.max()

    def score(activations: Activations) -> Tensor:
        activation = as_map(activations[layer], layer)
        check_channels(highest, activation.shape[1], layer)
        return select_channels(activation, activations.pick(targets(activation.device)), layer).mean((1, 2))

    labels = tuple(f"channel({layer}:{c})" for c in channels.tolist())
    return Objective(f"channel({layer})", (layer,), score, labels, form=("channel", layer), targets=(targets,))


def neuron(
    layer: str, channel: Index, y: Index | None = None, x: Index | None = None, token: str | int | None = None
) -> Objective:
    """One position of one channel (Erhan et al. 2009: activation maximisation of a unit).

    Args:
        layer: address of a layer that outputs maps (B, C, H, W), tokens or vectors (B, C).
        channel: index, or one index per image.
        y: row in the map, or one per image; by default the centre, H // 2.
        x: column in the map, or one per image; by default the centre, W // 2.
        token: of a transformer, instead of a position: "cls" for the class token, or the index of a token.

    Returns:
        The objective, with one target for each neuron.

    Raises:
        BadType: for an index that is not an integer, or a position (y, x) given as one argument.
        BadInput: for a negative index or none at all, numbers of targets that differ, or both a position and a token;
            when scored, for a layer that outputs neither maps nor vectors, one without this token, or a batch of
            another size than the number of targets.
        NotFound: when scored, if there is no such channel or position (an `IndexError` as well), or the layer was not
            captured.

    Example:
        >>> neuron("conv", 1, y=0, x=2).score(Activations({"conv": torch.arange(18.0).reshape(1, 2, 3, 3)}))
        tensor([11.])
    """
    if token is not None:
        if y is not None or x is not None:
            raise BadInput(f"neuron: got a position and token {token!r}; give one of them")
        layer = f"{layer}@{token}"
    if isinstance(y, tuple) and len(y) == 2 and x is None and isinstance(channel, int):
        raise BadType(f"neuron: y is a row, got {y!r}: give the position as y and x, neuron(layer, channel, y=2, x=2)")
    channels = as_targets(channel, f"channel of {layer!r}")
    targets, highest = Targets(channels), channels.max()
    places = [None if place is None else as_targets(place, f"position in {layer!r}") for place in (y, x)]
    on = [None if place is None else Targets(place) for place in places]
    most = [None if place is None else int(place.max()) for place in places]
    if len(lengths := {len(t) for t in (channels, *places) if t is not None} - {1}) > 1:
        raise BadInput(f"neuron: channel, y and x must have the same number of targets, got {sorted(lengths)}")

    def score(activations: Activations) -> Tensor:
        activation = as_map(activations[layer], layer)
        check_channels(highest, activation.shape[1], layer)
        maps = select_channels(activation, activations.pick(targets(activation.device)), layer)
        place: list[int | Tensor] = []
        for axis, side in enumerate(maps.shape[1:]):
            if (limit := most[axis]) is not None and limit >= side:
                raise OutOfRange(
                    f"{'yx'[axis]}={limit} is out of range: the map of layer {layer!r} has "
                    f"{plural(side, ('row', 'column')[axis])} (0 to {side - 1}) for this picture"
                )
            given = on[axis]
            place.append(side // 2 if given is None else activations.pick(given(maps.device)))
        if on == [None, None]:
            return maps[:, place[0], place[1]]
        return maps[torch.arange(len(maps), device=maps.device), place[0], place[1]]

    where = ["" if place is None else place for place in places]
    count = max([len(channels), *(len(place) for place in places if place is not None)])

    def at(values: Tensor | str, i: int) -> str:
        return "centre" if isinstance(values, str) else str(int(values[i if len(values) > 1 else 0]))

    labels = tuple(f"neuron({layer}:{at(channels, i)}@{at(where[0], i)},{at(where[1], i)})" for i in range(count))
    return Objective(
        f"neuron({layer})",
        (layer,),
        score,
        labels,
        form=("neuron", layer, *(place is None for place in places)),
        targets=(targets, *(place for place in on if place is not None)),
    )


def layer(layer: str) -> Objective:
    """The mean square of all activations of a layer (Mordvintsev et al. 2015: DeepDream).

    Args:
        layer: address of any layer that outputs a tensor (B, ...).

    Returns:
        The objective, for a batch of any size.

    Raises:
        NotFound: when scored, if the layer was not captured.

    Example:
        >>> layer("conv").score(Activations({"conv": torch.full((2, 3, 4, 4), 2.0)}))
        tensor([4., 4.])
    """

    def score(activations: Activations) -> Tensor:
        return activations[layer].float().square().flatten(1).mean(1)

    return Objective(f"layer({layer})", (layer,), score, form=("layer", layer))
