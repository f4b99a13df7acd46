"""`load_model`: networks from torchvision, timm, a Python file, a module in memory, or the package itself."""

from __future__ import annotations

import copy
import difflib
import importlib.util
import io
import logging
import pickle
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from inverter.failures import first_line
from inverter.layouts import lay_out
from inverter.models import Model, Normalize, as_device, as_normalization
from inverter.switches import recording
from inverter_errors import BadInput, BadType, MissingFile, MissingLibrary, Unreachable
from priors.base import as_size

Found = tuple[nn.Module, dict[str, Any]]
"""A network, and its source's metadata: any of the arguments `normalize`, `input_size`, `categories`, `weights`."""


@recording()
def load_model(
    spec: str | nn.Module | Model,
    weights: str | Path | None = None,
    normalize: Normalize | None = None,
    device: str | torch.device | None = None,
    input_size: int | tuple[int, int] | None = None,
) -> Model:
    """The network under inspection, with its preprocessing.

    Args:
        spec: `torchvision:NAME`, `timm:NAME`, `path/to/file.py:factory` (a function without arguments that returns an
            `nn.Module`), `builtin` (the bundled network), or an `nn.Module` in memory; `list_models` lists the names.
            A `Model` is returned as it is, or as a copy with the other arguments applied.
        weights: a `.safetensors` file, or `.pt`/`.pth` (loaded with `weights_only=True`: code in it is never run).
            Without it, torchvision and timm fetch their own pretrained weights.
        normalize: `imagenet`, `half` (mean .5, std .5), `none`, or (mean, std) of three numbers each. Default: that of
            the network's source, else imagenet.
        device: `auto` (cuda, else mps, else cpu), or a torch device. A module in memory stays where it is unless
            `device` is another one; then a copy is made there.
        input_size: pixels, one number or (height, width). Default: that of the network's source, else 224.

    Returns:
        The frozen network with its metadata.

    Raises:
        BadInput: for an unknown spec or name, weights that do not fit or are damaged, a device that is not available.
        BadType: for a spec of another type.
        MissingFile: if there is no such file.
        Unreachable: if the server of the pretrained weights cannot be reached.
        MissingLibrary: if timm is required and not installed.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
        >>> load_model(net, normalize="half", input_size=32)
        Model(module, 224 parameters, 32x32, on cpu)
    """
    if isinstance(spec, Model):
        if weights is not None:
            raise BadInput(f"{spec.spec} is loaded already: give weights where it is loaded first")
        if normalize is not None or input_size is not None:
            spec = copy.copy(spec)
        if normalize is not None:
            spec.mean, spec.std = as_normalization(normalize)
        if input_size is not None:
            spec.input_size = as_size(input_size)
        return spec if device is None else spec.on(device)
    if weights is not None and not Path(weights).is_file():
        raise MissingFile(f"no weights file {str(weights)!r}")
    known: dict[str, Any]
    if isinstance(spec, nn.Module):
        module, known, name = spec, {}, "module"
    else:
        module, known = _build(spec, pretrained=weights is None)
        name = spec
    if weights is not None:
        load_weights(module, Path(weights))
    if normalize is not None:
        known["normalize"] = normalize
    if input_size is not None:
        known["input_size"] = input_size
    if "input_size" in known:
        known["input_size"] = as_size(known["input_size"])
    if isinstance(spec, nn.Module):
        model = Model(module, spec=name, weights=Path(weights) if weights else None, **known)
        return model if device is None else model.on(device)
    module = module.eval().requires_grad_(False).to(as_device(device))
    if weights is not None:
        known["weights"] = Path(weights)
    lay_out(module, Model.layout)
    return Model(module, spec=name, **known)


def _build(spec: str, pretrained: bool) -> Found:
    if not isinstance(spec, str):
        raise BadType(f"a model must be a name, an nn.Module or a Model, got {type(spec).__name__}")
    kind, _, name = spec.rpartition(":") if spec.endswith(":") else spec.partition(":")
    if spec == "builtin":
        return _builtin()
    if kind == "torchvision" and name:
        return _torchvision(name, pretrained)
    if kind == "timm" and name:
        return _timm(name, pretrained)
    path, _, factory = spec.rpartition(":")
    if path.endswith(".py"):
        return _local(Path(path), factory), {}
    raise BadInput(f"unknown model {spec!r}; expected builtin, torchvision:NAME, timm:NAME or path/to/file.py:factory")


def _builtin() -> Found:
    from inverter import builtin

    return builtin.load_builtin(), {
        "normalize": (builtin.MEAN, builtin.STD),
        "input_size": builtin.INPUT_SIZE,
        "categories": builtin.categories(),
        "weights": builtin.WEIGHTS,
    }


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
    return f"; the nearest are: {', '.join(near)}" if near else ""


def _torchvision(name: str, pretrained: bool) -> Found:
    from torchvision import models

    names = models.list_models()
    if name not in names:
        raise BadInput(f"torchvision has no model {name!r}{_near(name, names)}")
    meta = models.get_model_weights(name).DEFAULT
    try:
        with _quiet():
            module = models.get_model(name, weights=meta if pretrained else None)
    except (URLError, OSError) as error:
        raise _unreachable("torchvision", name, error) from error
    known: dict[str, Any] = {"categories": meta.meta.get("categories", ())}
    transforms = meta.transforms()
    if hasattr(transforms, "mean"):
        known["normalize"] = (tuple(transforms.mean), tuple(transforms.std))
    if size := getattr(transforms, "crop_size", None):
        known["input_size"] = (size[0], size[-1])
    return module, known


def _timm(name: str, pretrained: bool) -> Found:
    try:
        import timm
    except ModuleNotFoundError:
        raise MissingLibrary("timm models need timm: pip install 'inverter-vis[timm]'") from None
    names = timm.list_models() + timm.list_pretrained()
    if name not in names:
        raise BadInput(f"timm has no model {name!r}{_near(name, names)}")
    try:
        with _quiet():
            module = timm.create_model(name, pretrained=pretrained)
    except (URLError, OSError, RuntimeError) as error:
        raise _unreachable("timm", name, error) from error
    config = timm.data.resolve_model_data_config(module)
    known: dict[str, Any] = {"normalize": (config["mean"], config["std"])}
    known["input_size"] = tuple(config["input_size"][-2:])
    if subset := timm.data.infer_imagenet_subset(module):
        known["categories"] = timm.data.ImageNetInfo(subset).label_descriptions()
    return module, known


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the hubs' messages about retries off the terminal: the error has the reason."""
    hub = logging.getLogger("huggingface_hub")
    before = hub.level
    hub.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        hub.setLevel(before)


def _unreachable(source: str, name: str, error: Exception) -> Unreachable:
    reason = str(error).strip().splitlines()
    return Unreachable(
        f"the pretrained weights of {source}:{name} could not be fetched "
        f"({reason[-1] if reason else type(error).__name__}); give a local file with weights="
    )


def _local(path: Path, factory: str) -> nn.Module:
    if not path.is_file():
        raise MissingFile(f"no Python file {str(path)!r} to take a model from")
    spec = importlib.util.spec_from_file_location(f"inverter_model_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # a .py file always has a loader
    source = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = source  # pickled classes and dataclasses need their module there
    try:
        spec.loader.exec_module(source)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{path} could not be imported: {type(error).__name__}: {error}") from error
    make = getattr(source, factory, None)
    if not callable(make):
        names = [key for key, value in vars(source).items() if callable(value) and not key.startswith("_")]
        raise BadInput(f"{path} has no function {factory!r}{_near(factory, names)}")
    try:
        module = make()
    except (Exception, SystemExit) as error:
        raise BadInput(f"{factory}() of {path} failed: {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise BadInput(f"{factory}() of {path} returned {type(module).__name__}, expected an nn.Module")
    return module


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
    path, _, factory = spec.rpartition(":")
    if not path.endswith(".py"):
        raise BadInput(f"expected path/to/file.py:factory, got {spec!r}")
    if weights is not None and not Path(weights).is_file():
        raise MissingFile(f"no weights file {str(weights)!r}")
    module = _local(Path(path), factory)
    if weights is not None:
        load_weights(module, Path(weights))
    return module.eval()


def read_state(path: Path) -> Mapping[str, Tensor]:
    """Reads the tensors of a file of weights; never runs code that the file holds.

    Args:
        path: a `.safetensors`, `.pt` or `.pth` file.

    Returns:
        Tensors on the CPU, by name.

    Raises:
        BadInput: for a damaged file, another kind of file, or one that holds more than tensors.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, ValueError) as error:
            raise BadInput(f"{path} is damaged or no safetensors file ({error})") from error
    if path.suffix not in (".pt", ".pth"):
        raise BadInput(f"{path}: weights must be .safetensors, .pt or .pth, got {path.suffix or 'no suffix'!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files that torch warns about are refused here, or harmless
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path} holds more than tensors and was refused: save a state_dict() "
            "(loading code from it could run anything)"
        ) from error
    except Exception as error:  # torch raises many types for a damaged archive
        raise BadInput(f"{path} is damaged or no torch file ({first_line(error)})") from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise BadInput(f"{path} holds no state_dict: expected tensors by name, got {type(state).__name__}")
    return state


def load_weights(module: nn.Module, path: Path) -> None:
    """Copies a file's tensors into `module`, all of them or none.

    Names may have DataParallel's `module.` prefix. Half-precision tensors are converted.

    Args:
        module: the network.
        path: a `.safetensors`, `.pt` or `.pth` file.

    Raises:
        BadInput: if names or shapes do not fit (it shows the first few), or the file is damaged.
    """
    own = module.state_dict()
    prefix = "" if any(name.startswith("module.") for name in own) else "module."
    state = {name.removeprefix(prefix): tensor for name, tensor in read_state(path).items()}
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in own]
    other = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
        if names
    ]
    if problems:
        raise BadInput(f"{path} does not fit {type(module).__name__}: {'; '.join(problems)}")
    module.load_state_dict(state, strict=False)
