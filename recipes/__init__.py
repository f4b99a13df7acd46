"""Recipes: a user's question as a frozen value with `run()`; each makes pictures, a manifest and a page.

`CATALOGUE` is the one list of them: the command line, recipe files and the imports below follow from it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from recipes.adversarial.adversarial import Adversarial
    from recipes.atlas.atlas import Atlas
    from recipes.attribution.registry import list_methods
    from recipes.circuits.circuit import Circuit
    from recipes.circuits.polysemantic import Polysemantic
    from recipes.compare.compare import Compare
    from recipes.concepts.concepts import Concepts
    from recipes.concepts.craft.craft import Craft
    from recipes.deepdream.deepdream import DeepDream
    from recipes.directions.learn_directions import LearnDirections
    from recipes.gallery.class_model import ClassModel
    from recipes.gallery.gallery import Gallery
    from recipes.gallery.names import Names
    from recipes.gallery.patches import Patches
    from recipes.heatmaps.explain import Explain
    from recipes.heatmaps.judge_maps import JudgeMaps
    from recipes.inpainting.inpaint import Inpaint
    from recipes.inversion.invert import Invert
    from recipes.inversion.train_inverter import TrainInverter
    from recipes.microscope.microscope import Microscope
    from recipes.mixing.mix import Mix
    from recipes.photo.dictionary import Dictionary
    from recipes.photo.grid import Grid
    from recipes.runner.base import Recipe
    from recipes.statistics.statistics import Statistics

__all__ = [
    "Adversarial",
    "Atlas",
    "Circuit",
    "ClassModel",
    "Compare",
    "Concepts",
    "Craft",
    "DeepDream",
    "Dictionary",
    "Explain",
    "Gallery",
    "Grid",
    "Inpaint",
    "Invert",
    "JudgeMaps",
    "LearnDirections",
    "Microscope",
    "Mix",
    "Names",
    "Patches",
    "Polysemantic",
    "Statistics",
    "TrainInverter",
    "list_methods",
    "list_recipes",
]


class Entry(NamedTuple):
    """A recipe in the catalogue.

    Attributes:
        command: of the command line, and `recipe` of a TOML file.
        module: that defines its class, imported when it is needed: help texts do not wait for torch.
        class_name: of the recipe.
        help: one line of `inverter --help`.
        example: a command that works, for the end of `inverter COMMAND --help`.
    """

    command: str
    module: str
    class_name: str
    help: str
    example: str

    def load(self) -> type[Recipe]:
        """The recipe's class."""
        recipe: type[Recipe] = getattr(importlib.import_module(self.module), self.class_name)
        return recipe


CATALOGUE = (
    Entry(
        "gallery",
        "recipes.gallery.gallery",
        "Gallery",
        "Pictures that maximise channels, neurons or classes (feature visualization).",
        "inverter gallery --model torchvision:squeezenet1_0 --layer features.9 --channels 0-15 --out gallery",
    ),
    Entry(
        "classes",
        "recipes.gallery.class_model",
        "ClassModel",
        "Class models: a picture of each class, and whether a second network recognises it.",
        "inverter classes --model torchvision:squeezenet1_0 --class goldfish,130 --judge torchvision:mobilenet_v2",
    ),
    Entry(
        "mix",
        "recipes.mixing.mix",
        "Mix",
        "A picture that maximises a weighted sum of units, classes and layers.",
        "inverter mix --model torchvision:squeezenet1_0 --term features.9/17=1 --term features.9/3=-0.5 --out mix",
    ),
    Entry(
        "invert",
        "recipes.inversion.invert",
        "Invert",
        "Pre-images: pictures with the same code at a layer as a given one.",
        "inverter invert --model builtin --image PHOTO --layer features.stem --layer features.stage3 --out preimages",
    ),
    Entry(
        "train-inverter",
        "recipes.inversion.train_inverter",
        "TrainInverter",
        "Train a network that reads pictures off the codes of a layer in one pass.",
        "inverter train-inverter --model torchvision:squeezenet1_0 --layer features.7 --images FOLDER "
        "--out features7.safetensors",
    ),
    Entry(
        "dream",
        "recipes.deepdream.deepdream",
        "DeepDream",
        "DeepDream: what layers or channels respond to in a photo, amplified.",
        "inverter dream --model torchvision:squeezenet1_0 --image PHOTO --layer features.9 --out dream.png",
    ),
    Entry(
        "inpaint",
        "recipes.inpainting.inpaint",
        "Inpaint",
        "Restore missing pixels with the deep image prior.",
        "inverter inpaint --image PHOTO --mask MASK --out restored",
    ),
    Entry(
        "patches",
        "recipes.gallery.patches",
        "Patches",
        "Top patches: the parts of real pictures that activate each unit most and least.",
        "inverter patches --model torchvision:squeezenet1_0 --images FOLDER --layer features.9 --out patches",
    ),
    Entry(
        "names",
        "recipes.gallery.names",
        "Names",
        "Names for units from a vocabulary, by a network that knows pictures and words (CLIP-Dissect).",
        "inverter names --model torchvision:squeezenet1_0 --layer features.12 --images FOLDER --vocabulary WORDS.txt "
        "--text-model CLIP.py:make --out names",
    ),
    Entry(
        "dictionary",
        "recipes.photo.dictionary",
        "Dictionary",
        "Semantic dictionary: the channels at each position of a photo, as pictures.",
        "inverter dictionary --model torchvision:squeezenet1_0 --image PHOTO --layer features.12 --out dictionary",
    ),
    Entry(
        "grid",
        "recipes.photo.grid",
        "Grid",
        "Activation grid: a photo as a layer represents it, one picture for each position.",
        "inverter grid --model torchvision:squeezenet1_0 --image PHOTO --layer features.12 --groups 6 --out grid",
    ),
    Entry(
        "atlas",
        "recipes.atlas.atlas",
        "Atlas",
        "Activation atlas: a map of what a layer responds to in many pictures.",
        "inverter atlas --model torchvision:squeezenet1_0 --layer features.12 --images FOLDER --out atlas",
    ),
    Entry(
        "circuit",
        "recipes.circuits.circuit",
        "Circuit",
        "Circuits: what drives a unit and what it drives, with the kernels between.",
        "inverter circuit --model torchvision:squeezenet1_0 --layer features.4 --channels 3,17 --images FOLDER "
        "--out circuit",
    ),
    Entry(
        "polysemantic",
        "recipes.circuits.polysemantic",
        "Polysemantic",
        "Polysemantic units: their top patches in groups by what drives them, with a picture and a direction of each.",
        "inverter polysemantic --model torchvision:squeezenet1_0 --layer features.12 --channels 3,17 --images FOLDER "
        "--out polysemantic",
    ),
    Entry(
        "microscope",
        "recipes.microscope.microscope",
        "Microscope",
        "A complete network as a site: a page for each layer, a link for each unit, with all that is known of it.",
        "inverter microscope --model torchvision:squeezenet1_0 --images FOLDER --size 128 --out SITE",
    ),
    Entry(
        "explain",
        "recipes.heatmaps.explain",
        "Explain",
        "Heat maps of what drives a target in given pictures (attribution).",
        "inverter explain --model torchvision:squeezenet1_0 --image PHOTO --target logit:goldfish --method grad-cam",
    ),
    Entry(
        "judge-maps",
        "recipes.heatmaps.judge_maps",
        "JudgeMaps",
        "Evaluate attribution methods: pointing, insertion and deletion, randomised weights and more.",
        "inverter judge-maps --model torchvision:squeezenet1_0 --image PHOTO --method grad-cam --method saliency",
    ),
    Entry(
        "adversarial",
        "recipes.adversarial.adversarial",
        "Adversarial",
        "The smallest change of a photo that makes the network see something else.",
        "inverter adversarial --model torchvision:squeezenet1_0 --image PHOTO --target goldfish --norm l2 --norm linf",
    ),
    Entry(
        "compare",
        "recipes.compare.compare",
        "Compare",
        "Compare layers and networks: CKA, linear maps, matching units, equivariance to warps.",
        "inverter compare --model a=torchvision:squeezenet1_0 --model b=timm:resnet18 --layer a:features.9 "
        "--layer b:layer3 --images FOLDER --out comparison",
    ),
    Entry(
        "learn-directions",
        "recipes.directions.learn_directions",
        "LearnDirections",
        "Learn the directions of a layer: a sparse autoencoder, or components, of its activations.",
        "inverter learn-directions --model torchvision:squeezenet1_0 --layer features.9 --images FOLDER "
        "--out features9.safetensors",
    ),
    Entry(
        "concepts",
        "recipes.concepts.concepts",
        "Concepts",
        "Concept vectors from folders of pictures, and which classes depend on them (TCAV).",
        "inverter concepts --model torchvision:squeezenet1_0 --layer features.9 --positive STRIPED --negative OTHERS "
        "--class zebra --images ZEBRAS --out concepts",
    ),
    Entry(
        "craft",
        "recipes.concepts.craft.craft",
        "Craft",
        "Concepts of a class found in its photographs, with their importance (CRAFT).",
        "inverter craft --model torchvision:squeezenet1_0 --layer features.12 --images FLAMINGOS --class flamingo "
        "--out craft",
    ),
    Entry(
        "statistics",
        "recipes.statistics.statistics",
        "Statistics",
        "Measure the colour and spectrum statistics of a folder of pictures, for priors.",
        "inverter statistics --images FOLDER --out statistics.json",
    ),
)
"""Every recipe, in the order of the help text. A new recipe is known everywhere once it stands here."""

_FUNCTIONS = {"list_methods": "recipes.attribution.registry"}
"""Public functions -> their modules."""


def list_recipes() -> list[str]:
    """The names of all recipes, as the command line and recipe files know them.

    Returns:
        Sorted names.

    Example:
        >>> "gallery" in list_recipes()
        True
    """
    return sorted(entry.command for entry in CATALOGUE)


def find_recipe(command: str) -> type[Recipe] | None:
    """The class of a recipe by its command; None if there is none of this name."""
    return next((entry.load() for entry in CATALOGUE if entry.command == command), None)


def __getattr__(name: str) -> Any:
    # Imported when they are used, so that the command line's help does not wait for torch.
    for entry in CATALOGUE:
        if entry.class_name == name:
            return entry.load()
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'recipes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
