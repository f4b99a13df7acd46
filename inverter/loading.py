"""`load_model`: networks from torchvision, timm, a Python file, a module in memory, or the package itself."""

from __future__ import annotations

import copy
import difflib
import importlib.util
import io
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from inverter.checkpoints import TORCH, find_weights, load_weights
from inverter.layouts import lay_out
from inverter.metadata import Categories, InputSize, Known, as_categories, as_input_size, attributes, described
from inverter.models import Model, Normalize, as_device, as_normalization
from inverter.switches import recording
from inverter.torchscript import as_layers
from inverter_errors import BadInput, BadType, MissingFile, MissingLibrary, Unreachable

Found = tuple[nn.Module, Known]
"""A network, and its source's metadata."""
RANDOM = "random"
"""In place of a file of weights: those that the architecture starts with, drawn from a fixed seed."""


@recording()
def load_model(
    spec: str | nn.Module | Model,
    weights: str | Path | None = None,
    normalize: Normalize | None = None,
    device: str | torch.device | None = None,
    input_size: InputSize | None = None,
    categories: Categories | None = None,
    axes: Mapping[str, str] | None = None,
) -> Model:
    """The network under inspection, with its preprocessing.

    Args:
        spec: `torchvision:NAME`, `timm:NAME`, `path/to/file.py:factory` (a function without arguments that returns an
            `nn.Module`, or one with a dict of any of `input_size`, `normalize`, `categories`, or a `Model`), `builtin`
            (the bundled network), or an `nn.Module` in memory; `list_models` lists the names. A `Model` is returned as
            it is, or as a copy with the other arguments applied.
        weights: a `.safetensors` file, one that `torch.save` wrote (`.pt`, `.pth`, `.bin`, `.ckpt`, `.pth.tar`; loaded
            with `weights_only=True`: code in it is never run), the `.index.json` of one in several files, or a folder
            with one of these as Hugging Face names them. `random`: the initial weights of a torchvision or timm
            architecture, from a fixed seed. Without it, these fetch their own pretrained weights.
        normalize: `imagenet`, `half` (mean .5, std .5), `none`, or (mean, std) of three numbers each. Default: that of
            the network's source, else imagenet.
        device: `auto` (cuda, else mps, else cpu), or a torch device. A module in memory stays where it is unless
            `device` is another one; then a copy is made there.
        input_size: pixels: one number, (height, width), or text (`H` or `HxW`). Default: that of the network's source,
            or of its attribute `input_size`. Where that is not known either, 224 is a guess, and using it warns.
        categories: names of the classes, or a file of them: one a line, or JSON (see `inverter.metadata`). Default:
            those of the network's source, or of its attribute `categories`.
        axes: what each axis of a layer's tensor is, where looking at a forward pass does not find it: `BCHW`, `BHWC`,
            `BNC`, `NBC`, `BCN`, `BNC+1` (one class token before those of the patches), by a pattern for addresses.

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
    given: Known = {}
    if normalize is not None:
        given["normalize"] = as_normalization(normalize)
    if input_size is not None:
        given["input_size"] = as_input_size(input_size)
    if categories is not None:
        given["categories"] = as_categories(categories)
    if axes is not None:
        given["axes"] = dict(axes)
    if isinstance(spec, Model):
        if weights is not None:
            raise BadInput(f"{spec.spec} is loaded already: give weights where it is loaded first")
        model = _with(spec, given) if given else spec
        return model if device is None else model.on(device)
    file = None if weights is None or weights == RANDOM else find_weights(weights)
    if isinstance(spec, nn.Module):
        module, known, name = spec, attributes(spec), "module"
    else:
        module, known = _build(spec, pretrained=weights is None)
        name = spec
    if weights == RANDOM and not name.startswith(("torchvision:", "timm:")):
        raise BadInput(
            f"weights {RANDOM}: for torchvision:NAME and timm:NAME alone; {name} has the weights it comes with"
        )
    if file is not None:
        load_weights(module, file)
        known["weights"] = file
    _check_built(module)
    if isinstance(spec, nn.Module):
        model = Model(module, spec=name, **(known | given))
        return model if device is None else model.on(device)
    module = as_layers(module).eval().requires_grad_(False).to(as_device(device))
    lay_out(module, Model.layout)
    return Model(module, spec=name, **(known | given))


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
    if "normalize" in given:
        model.mean, model.std = given["normalize"]
    if "input_size" in given:
        model.input_size, model.size_from = given["input_size"], "network"
    model.categories = given.get("categories", model.categories)
    if "axes" in given:
        model.declare(given["axes"])
    return model


def _build(spec: object, pretrained: bool) -> Found:
    if not isinstance(spec, str):
        raise _no_model(spec)
    kind, _, name = spec.rpartition(":") if spec.endswith(":") else spec.partition(":")
    if spec == "builtin":
        return _builtin()
    if kind == "torchvision" and name:
        return _torchvision(name, pretrained)
    if kind == "timm" and name:
        return _timm(name, pretrained)
    path, _, factory = spec.rpartition(":")
    if path.endswith(".py"):
        return _local(Path(path), factory)
    raise _no_model(spec)


def _no_model(spec: object) -> BadInput | BadType:
    """What to do about a spec that is no model."""
    expected = "expected builtin, torchvision:NAME, timm:NAME, path/to/file.py:factory, or from Python an nn.Module"
    if isinstance(spec, type) and issubclass(spec, nn.Module):
        return BadType(
            f"got the class {spec.__name__}, not a network: make one of it, as in load_model({spec.__name__}())"
        )
    if isinstance(spec, Mapping):
        return BadType(
            "a state dict has weights and no architecture: make the network, net.load_state_dict(...), load_model(net)"
        )
    if callable(spec):
        name = getattr(spec, "__name__", type(spec).__name__)
        return BadType(f"got the function {name}, not a network: call it, as in load_model({name}())")
    if not isinstance(spec, str | Path):
        return BadType(f"a model must be a name, an nn.Module or a Model, got {type(spec).__name__}; {expected}")
    kind = f"unknown model {str(spec)!r}"
    suffixes = Path(spec).suffixes
    if ".py" in suffixes:
        return BadInput(f"{kind}: say which function makes the network, as in {spec}:make")
    if any(suffix in (*TORCH, ".safetensors", ".pkl", ".pickle", ".onnx", ".h5", ".keras") for suffix in suffixes):
        return BadInput(
            f"{kind}: a file of weights has no architecture that could be loaded safely; give the architecture "
            f"(torchvision:NAME, timm:NAME or FILE.py:FACTORY) as the model, and {Path(spec).name} as its weights"
        )
    return BadInput(f"{kind}; {expected}{_namesakes(str(spec))}")


def _namesakes(name: str) -> str:
    """The torchvision model that is meant by a name without its source; no text if there is none."""
    from torchvision import models

    meant = name.rpartition(":")[2].rpartition("/")[2].lower()
    return f"; did you mean torchvision:{meant}?" if meant in models.list_models() else ""


def _builtin() -> Found:
    from inverter import builtin

    return builtin.load_builtin(), {
        "normalize": (builtin.MEAN, builtin.STD),
        "input_size": as_input_size(builtin.INPUT_SIZE),
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
        with _quiet(), _seeded():
            module = models.get_model(name, weights=meta if pretrained else None)
    except (URLError, OSError) as error:
        raise _unreachable("torchvision", name, error) from error
    known: Known = {"categories": meta.meta.get("categories", ())}
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
        with _quiet(), _seeded():
            module = timm.create_model(name, pretrained=pretrained)
    except (URLError, OSError, RuntimeError) as error:
        raise _unreachable("timm", name, error) from error
    config = timm.data.resolve_model_data_config(module)
    known: Known = {"normalize": (config["mean"], config["std"])}
    known["input_size"] = tuple(config["input_size"][-2:])
    if subset := timm.data.infer_imagenet_subset(module):
        known["categories"] = timm.data.ImageNetInfo(subset).label_descriptions()
    return module, known


@contextmanager
def _seeded() -> Iterator[None]:
    """Initial weights are the same each time; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


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


def _local(path: Path, factory: str) -> Found:
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
        made = make()
    except (Exception, SystemExit) as error:
        raise BadInput(f"{factory}() of {path} failed: {type(error).__name__}: {error}") from error
    return described(made, make, f"{factory}() of {path}")


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
    file = None if weights is None else find_weights(weights)
    module, _ = _local(Path(path), factory)
    if file is not None:
        load_weights(module, file)
    return module.eval()
