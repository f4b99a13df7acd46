"""`load_model`: a network by the name that one of the sources takes, or as a module in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from inverter.capture.axes import AxesByPattern
from inverter.checkpoints import find_weights, load_weights
from inverter.devices import as_device
from inverter.ensemble import Ensemble
from inverter.input_values import (
    Normalize,
    ShowChannels,
    ValueRange,
    as_normalization,
    as_show_channels,
    as_value_range,
    in_values,
)
from inverter.isolation.layouts import lay_out
from inverter.isolation.switches import recording
from inverter.isolation.torchscript import as_layers
from inverter.metadata import Categories, InputSize, Known, as_categories, as_input_size, attributes, with_text
from inverter.models import Model
from inverter.sources.python_file import SOURCE as PYTHON_FILE
from inverter.sources.python_file import load_local
from inverter.sources.registry import find, random_forms
from inverter.sources.unknown import no_model
from inverter_errors import BadInput

RANDOM = "random"
"""In place of a file of weights: those that the architecture starts with, drawn from a fixed seed."""


@recording()
def load_model(
    spec: str | Path | nn.Module | Model | Mapping[str, Any],
    weights: str | Path | Mapping[str, str | Path] | None = None,
    normalize: Normalize | Mapping[str, Normalize] | None = None,
    device: str | torch.device | None = None,
    input_size: InputSize | None = None,
    categories: Categories | None = None,
    axes: AxesByPattern | None = None,
    value_range: ValueRange | None = None,
    show_channels: ShowChannels | None = None,
) -> Model:
    """The network under inspection, with its preprocessing.

    Args:
        spec: an `nn.Module` in memory, a `Model` (returned as it is, or as a copy with the other arguments applied), or
            a name (`list_models` lists them; docs/networks.md has the details):

            - `builtin`: the bundled network.
            - `torchvision:NAME`.
            - `timm:NAME`, where NAME is any that timm takes: ARCH, ARCH.TAG, `hf-hub:ORG/NAME`, `local-dir:FOLDER`.
            - `hf:ORG/NAME` or `hf:FOLDER`, for transformers: with its head if it classifies or segments pictures, else
              the base model. One with an image and a text tower (CLIP, SigLIP) outputs the picture's embedding.
            - `open_clip:ARCH/TAG`, `open_clip:ARCH` with `weights`, or with `hf-hub:ORG/NAME` or `local-dir:FOLDER` as
              in timm. It outputs the picture's embedding.
            - `path/to/file.py:factory`: a function without arguments that returns an `nn.Module`, or one with a dict of
              any of `inverter.metadata.KEYS`, or a `Model`.
            - A `.pt2` file of `torch.export`, or a file in TorchScript. Both hold code, which runs.

            Of a network with an image and a text tower (`inverter.text`), the image tower is under inspection.
            Several networks at once, which see the same picture, are {name: any of these} (`inverter.ensemble`): then
            `weights` and `normalize` may be {name: value} as well, and all other arguments hold for each.
        weights: a `.safetensors` file, one that `torch.save` wrote (`.pt`, `.pth`, `.bin`, `.ckpt`, `.pth.tar`; loaded
            with `weights_only=True`: code in it is never run), the `.index.json` of one in several files, or a folder
            with one of these as Hugging Face names them. `random`: the initial weights of an architecture of
            torchvision, timm, transformers or open_clip, from a fixed seed. Without it, these fetch their own
            pretrained weights.
        normalize: `imagenet`, `half` (mean .5, std .5), `none`, or (mean, std) with a number for each channel, of the
            network's values; one number stands for all channels of a network that takes other than three. Default: that
            of the network's source, else imagenet, or none with a value range or other than three channels.
        device: `auto` (cuda, else mps, else cpu), or a torch device. A module in memory stays where it is unless
            `device` is another one; then a copy is made there.
        input_size: pixels: one number, (height, width), or text (`H` or `HxW`). Default: that of the network's source,
            or of its attribute `input_size`. Where that is not known either, 224 is a guess, and using it warns.
        categories: names of the classes, or a file of them: one a line, or JSON (see `inverter.metadata`). Default:
            those of the network's source, or of its attribute `categories`.
        axes: what each axis of a layer's tensor is, where a forward pass does not show it: `BCHW`, `BHWC`,
            `BNC`, `NBC`, `BCN`, `BNC+1` (one class token before those of the patches), by a pattern for addresses; also
            as texts `PATTERN=AXES`.
        value_range: (low, high) of the network's values before normalisation, as (-80, 0) for decibels: arrays are read
            and written in it, and the 0 and 1 of pictures stand for its ends. Default: that of the network's source,
            else (0, 1).
        show_channels: channels that picture files show, in order: three as red, green and blue, one as grey, others
            as grey tiles. Default: those of the network's source, else all.

    Returns:
        The frozen network with its metadata.

    Raises:
        BadInput: for an unknown spec or name, weights that do not fit or are damaged, a device that is not available.
        BadType: for a spec of another type.
        MissingFile: if there is no such file.
        Unreachable: if the server of the pretrained weights cannot be reached, and they are not cached.
        MissingLibrary: if timm, transformers or open_clip is required and not installed.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> load_model(net, normalize="half", input_size=32)
        Model(module, 224 parameters, 32x32, on cpu)
    """
    if isinstance(spec, Mapping) and not any(isinstance(value, torch.Tensor) for value in spec.values()):
        networks = {
            name: load_model(
                one, _of(weights, name, spec), _of(normalize, name, spec), device, input_size, None, axes, value_range
            )
            for name, one in spec.items()
        }
        several = Ensemble(networks, () if categories is None else as_categories(categories))
        several.take(show_channels=show_channels)
        return several
    if isinstance(weights, Mapping) or isinstance(normalize, Mapping):
        raise BadInput("weights or normalize by the name of a network: give the networks by name too, {name: network}")
    given: Known = {}
    if normalize is not None:
        as_normalization(normalize)  # an unknown one is refused before the work
        given["normalize"] = normalize
    if input_size is not None:
        given["input_size"] = as_input_size(input_size)
    if categories is not None:
        given["categories"] = as_categories(categories)
    if axes is not None:
        given["axes"] = axes
    if value_range is not None:
        given["value_range"] = as_value_range(value_range)
    if show_channels is not None:
        given["show_channels"] = as_show_channels(show_channels)
    if isinstance(spec, Model):
        if weights is not None:
            raise BadInput(f"{spec.spec} is loaded already: give weights where it is loaded first")
        model = _with(spec, given) if given else spec
        return model if device is None else model.on(device)
    file = None if weights is None or weights == RANDOM else find_weights(weights)
    found = find(str(spec)) if isinstance(spec, str | Path) else None
    name = "module" if isinstance(spec, nn.Module) else str(spec)
    if weights == RANDOM and (isinstance(spec, nn.Module) or (found and not found[0].random)):
        raise BadInput(f"weights {RANDOM}: for {random_forms()} alone; {name} has the weights it comes with")
    put: Callable[[nn.Module, Path], None] = load_weights
    if isinstance(spec, nn.Module):
        module, known = spec, attributes(spec)
    elif found is not None:
        source, inner = found
        (module, known), put = source.load(inner, weights is None), source.put
    else:
        raise no_model(spec)
    if file is not None:
        put(module, file)
        known["weights"] = file
    _check_built(module)
    module, known = with_text(module, known)
    if isinstance(spec, nn.Module):
        model = Model(module, spec=name, **(known | given))
        return model if device is None else model.on(device)
    module = as_layers(module).eval().requires_grad_(False).to(as_device(device))
    lay_out(module, Model.layout)
    return Model(module, spec=name, **(known | given))


def _of(value: Any, name: str, networks: Mapping[str, Any]) -> Any:
    """A network's own value of an argument that may be given by name."""
    if not isinstance(value, Mapping):
        return value
    for each in value:
        if each not in networks:
            raise BadInput(f"no network {each!r}: the networks are {', '.join(map(str, networks))}")
    return value.get(name)


def _check_built(module: nn.Module) -> None:
    """Raises a `BadInput` for lazy layers, whose weights a first forward pass makes."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor):
            raise BadInput(
                f"{type(module).__name__} has lazy layers without weights ({name}): run it on a picture first, as in "
                "net(torch.zeros(1, 3, 224, 224)), or load its weights"
            )


def _with(model: Model, given: Known) -> Model:
    """A copy of a model that shares the network, with other metadata."""
    model = copy.copy(model)
    if any(key in given for key in ("normalize", "value_range", "show_channels")):
        known = given.get("normalize", in_values(model.mean, model.std, model.value_range))
        model.take(known, given.get("value_range"), given.get("show_channels"))
    if "input_size" in given:
        model.input_size, model.size_from = given["input_size"], "network"
    model.categories = given.get("categories", model.categories)
    if "axes" in given:
        model.declare(given["axes"])
    return model


def load_module(spec: str, weights: str | Path | None = None) -> nn.Module:
    """A module other than the network under inspection, such as a generator, with its weights.

    Args:
        spec: `path/to/file.py:factory`.
        weights: as for `load_model`; without it the module is as the factory made it.

    Returns:
        The module, in eval mode.

    Raises:
        BadInput: for another spec, a factory that fails, weights that do not fit or are damaged.
        MissingFile: if there is no such file.
    """
    if PYTHON_FILE.takes(spec) is None:
        raise BadInput(f"expected path/to/file.py:factory, got {spec!r}")
    file = None if weights is None else find_weights(weights)
    module, _ = load_local(spec)
    if file is not None:
        load_weights(module, file)
    return module.eval()
