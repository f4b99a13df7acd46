"""Attribution: which pixels of an input image support a target, by many methods behind one function, `explain`.

A method is a pure function, registered in the module of its family:

    @method("grad-cam", paper="Selvaraju et al. 2017", layer=True, help={"relu": "keep only positive evidence"})
    def grad_cam(model, images, target, *, layer, seed, relu=True): ...

It takes a Model, images (B, 3, H, W) in [0, 1] on the model's device and an Objective with one target, or with one for
each image. It returns maps (B, h, w) of any height and width; larger values support the target.

To add a method: write it in `recipes/attribution/methods/FAMILY.py` and list its name in `registry.FAMILIES` under
`"FAMILY"`. The command line, the recipe, the page and the tests of `tests/recipes/attribution/test_laws.py` pick it up
from there. Building blocks:

- `scoring.forward.score_function(model, target)`: a context that yields images -> scores and runs the network only as
  deep as the target reads; Captum takes it as `forward_func`, with `rows` as additional argument;
- `scoring.forward.input_gradient`, `scoring.layers.layer_gradient`: the gradient of the score with respect to the
  images, or to a layer's activation;
- `scoring.replacing.replaced_activation`: reads or replaces a layer's activation in every forward pass;
- `scoring.baselines`, `scoring.masked_scores`: baseline images, and scores of masked images in batches;
- `backward`: rules that replace the gradient of single operations (LRP, DeepLIFT, excitation backpropagation);
- `method.import_library("captum.attr")`: an optional library, or an error that says how to install it (`extra=` checks
  it before the run); `check=`: a function that rejects options out of their range.

`explain` checks the inputs before it calls a method: with `layer=True` the address is a layer with feature maps, with
`pooled=True` the network has a pooled head, and options have the annotated types. It resizes the maps to the images.
A method draws random numbers from `seed` alone, the same ones for all images, so that a map does not depend on the
batch it was computed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recipes.attribution.api import explain

__all__ = ["explain"]


def __getattr__(name: str) -> Any:
    if name == "explain":  # imported on first use, so that the command line's help does not import torch
        from recipes.attribution.api import explain

        return explain
    raise AttributeError(f"module 'recipes.attribution' has no attribute {name!r}")
