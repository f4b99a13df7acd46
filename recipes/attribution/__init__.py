"""Attribution: the targets of this project, asked of a real picture. Where in it does what excites them lie?

A method is a pure function, declared in the file of its family:

    @method("grad-cam", paper="Selvaraju et al. 2017", layer=True, help={"relu": "drop what speaks against the target"})
    def grad_cam(model, images, target, *, layer, seed, relu=True): ...

    model: Model, images: (B, 3, H, W) in [0, 1] on its device, target: Objective of one target, or one for each picture
    -> maps (B, h, w) of any height and width; a larger value speaks for the target

To add a family: write `recipes/attribution/FAMILY.py` with its methods, and name them in `registry.FAMILIES`: the
command line, the recipe, the page and the tests of `tests/recipes/attribution/test_laws.py` know them from there.
What a method may need is here already:

- `ask.score_function(model, target)`: the forward function images -> scores, run only as deep as the target reads; what
  Captum takes as `forward_func`, with `rows` as its additional argument;
- `ask.input_gradient`, `layers.layer_gradient`: d score / d pictures, d score / d a layer's maps;
- `layers.edited`: a layer's activation read, or replaced by another, in every forward pass;
- `declaration.needs("captum.attr")`: an optional library, or the line that says how to install it (`extra=` has it told
  before the work); `check=`: a function that refuses options out of their range.

A method never sees an address that is not a layer with maps (`layer=True`), a network without a pooled head
(`pooled=True`), or options of another type: `explain` checks them first, and brings maps to the pictures' size.
It draws random numbers from `seed` alone and the same ones for all pictures, so a map does not depend on its batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.attribution.api import explain

__all__ = ["explain"]


def __getattr__(name: str) -> Any:
    if name == "explain":  # imported when asked for, so that the command line's help does not wait for torch
        from recipes.attribution.api import explain

        return explain
    raise AttributeError(f"module 'recipes.attribution' has no attribute {name!r}")
