"""Our attribution maps against those of Captum, pytorch-grad-cam, TorchRay and LIME, in one run.

    pip install '.[peers]' && python benchmarks/attribution_vs_peers.py [--pictures 4] [--only captum,...]

Prints a table in Markdown: the correlation of the maps over their pixels (mean and minimum over the images), and the
CPU seconds of each per image. Every peer gets one image at a time, as in its examples; so do we. A family of
comparisons is one function that yields `Contest`s, named in FAMILIES.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from attribution_propagation import deeplift, excitation, lrp
from attribution_surrogates import surrogates
from common import machine, squeezenet
from contest import HEAD, PHOTOGRAPHS, Attribution, Contest, FullNetwork, grown, mine, photographs, row
from torch import Tensor, nn

from inverter import Model, encode
from objectives import logit, neuron
from recipes.attribution.methods.guided_backprop import deconvolved, guided_gradient

LAYER = "features.12"


def strongest(model: Model, image: Tensor) -> tuple[int, ...]:
    """(channel, row, column) of the layer's strongest activation."""
    maps = encode(model, image, LAYER)[LAYER][0]
    return tuple(int(place) for place in torch.unravel_index(maps.argmax(), maps.shape))


def captum(model: Model) -> Iterator[Contest]:
    import captum.attr as peer

    full = FullNetwork(model)
    where = full.network.get_submodule(LAYER)

    def of(method: str, layer: str | None, theirs: Attribution) -> Contest:
        return Contest(method, "captum 0.9.0", mine(model, method, layer), theirs)

    zero = torch.tensor(model.mean)[None, :, None, None].expand(1, 3, *model.input_size)
    yield of("saliency", None, lambda x, c: peer.Saliency(full).attribute(x, c)[0].amax(0))
    yield of("gradient-x-input:baseline=black", None, lambda x, c: peer.InputXGradient(full).attribute(x, c)[0].sum(0))
    yield of(
        "integrated-gradients:baseline=mean",
        None,
        lambda x, c: peer.IntegratedGradients(full).attribute(x, zero, c, n_steps=50, internal_batch_size=8)[0].sum(0),
    )
    yield of(
        "grad-cam",
        LAYER,
        lambda x, c: grown(peer.LayerGradCam(full, where).attribute(x, c, relu_attributions=True), x),
    )
    yield Contest(
        "guided backpropagation, in colour",
        "captum 0.9.0",
        lambda x, c: guided_gradient(model, x, logit(c))[0],
        lambda x, c: peer.GuidedBackprop(full).attribute(x, c)[0],
    )
    yield Contest(
        "deconvnet of the strongest neuron, in colour",
        "captum 0.9.0",
        lambda x, _: deconvolved(model, x, neuron(LAYER, *strongest(model, x)), LAYER)[0],
        lambda x, _: peer.NeuronDeconvolution(full, where).attribute(x, strongest(model, x))[0],
    )


def grad_cam(model: Model) -> Iterator[Contest]:
    import pytorch_grad_cam as peer
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    full = FullNetwork(model)
    where = [full.network.get_submodule(LAYER)]

    class PlusPlus(peer.GradCAMPlusPlus):  # makes its rounding term of 1e-6 negligible
        def get_cam_weights(self, x: Any, layer: Any, target: Any, activations: Any, grads: Any) -> Any:
            return super().get_cam_weights(x, layer, target, activations / 1e4, grads * 1e4)

    class Aligned(peer.ScoreCAM):  # masks are upsampled as cv2 upsamples the map, without aligned corners
        def get_cam_weights(self, *arguments: Any) -> Any:
            enlarge = partial(nn.Upsample, mode="bilinear", align_corners=False)
            with patch.object(nn, "UpsamplingBilinear2d", enlarge):
                return super().get_cam_weights(*arguments)

    for name, method, kind in (
        ("grad-cam", "grad-cam", peer.GradCAM),
        ("grad-cam++", "grad-cam++", peer.GradCAMPlusPlus),
        ("grad-cam++; without their rounding term", "grad-cam++", PlusPlus),
        ("layer-cam", "layer-cam", peer.LayerCAM),
        ("score-cam", "score-cam", peer.ScoreCAM),
        ("score-cam; their masks enlarged as ours", "score-cam", Aligned),
    ):

        def theirs(x: Tensor, c: int, kind: type = kind) -> Tensor:
            with kind(model=full.network, target_layers=where) as cam:  # Score-CAM masks the normalised picture
                return torch.from_numpy(cam(model.normalize(x), [ClassifierOutputTarget(c)])[0])

        yield Contest(name, "grad-cam 1.5.5", mine(model, method, LAYER), theirs)


def torchray(model: Model) -> Iterator[Contest]:
    from torchray.attribution import gradient, guided_backprop

    full = FullNetwork(model)
    yield Contest(
        "saliency",
        "torchray 1.0.0.2",
        mine(model, "saliency"),
        lambda x, c: gradient.gradient(full, x, c)[0, 0].detach(),
    )
    yield Contest(
        "guided-backprop",
        "torchray 1.0.0.2",
        mine(model, "guided-backprop"),
        lambda x, c: guided_backprop.guided_backprop(full, x, c)[0, 0].detach(),
    )


FAMILIES = {
    "captum": captum,
    "grad-cam": grad_cam,
    "torchray": torchray,
    "deeplift": deeplift,
    "lrp": lrp,
    "excitation": excitation,
    "surrogates": surrogates,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=PHOTOGRAPHS, help="INDEX_*.jpg")
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5, help="repetitions for each image, unless it is slow")
    parser.add_argument("--only", default=",".join(FAMILIES), help="families to run")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="captum")  # its warnings about gradients and hooks that it sets
    model = squeezenet()
    pictures = photographs(options.images, options.pictures, model.input_size)
    print(f"\n{machine()}; SqueezeNet 1.0, {len(pictures)} photographs, class of each; layer {LAYER}\n")
    print(HEAD)
    for name in options.only.split(","):
        for contest in FAMILIES[name](model):
            print(row(contest, pictures, options.rounds), flush=True)


if __name__ == "__main__":
    main()
