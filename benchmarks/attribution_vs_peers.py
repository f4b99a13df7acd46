"""Our attribution maps against those of Captum, pytorch-grad-cam and TorchRay, on SqueezeNet 1.0, in one run.

    pip install '.[peers]' && python benchmarks/attribution_vs_peers.py [--pictures 4] [--only captum,...]

Prints a table in Markdown: the correlation of the maps over their pixels (mean and least over the pictures), and the
processor seconds of each for a picture. Every peer is asked one picture at a time, as its examples do; so are we. A
peer is added by one function that yields `Contest`s, named in PEERS.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from common import DATA, machine, squeezenet
from torch import Tensor, nn

from inverter import Model, encode
from objectives import logit, neuron
from recipes.attribution import explain
from recipes.attribution.backprop import deconvolved, guided_gradient
from recipes.pictures import fit, read_picture

LAYER = "features.12"


@dataclass(frozen=True)
class Contest:
    """One definition, twice: picture (1, 3, H, W) and its class -> map (H, W) or gradient (3, H, W)."""

    name: str
    peer: str
    ours: Callable[[Tensor, int], Tensor]
    theirs: Callable[[Tensor, int], Tensor]


class Whole(nn.Module):
    """The network with its normalisation, on a copy whose ReLUs are not in place: peers hook into them."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = copy.deepcopy(model.module).eval().requires_grad_(True)  # as a user has it
        for part in self.network.modules():
            if isinstance(part, nn.ReLU):
                part.inplace = False
        self.normalize = model.normalize

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalize(images))


def mine(model: Model, method: str, layer: str | None = None) -> Callable[[Tensor, int], Tensor]:
    return lambda image, target: explain(model, image, logit(target), method, layer=layer)[0]


def loudest(model: Model, image: Tensor) -> tuple[int, ...]:
    """(channel, row, column) of the layer's strongest activation."""
    maps = encode(model, image, LAYER)[LAYER][0]
    return tuple(int(place) for place in torch.unravel_index(maps.argmax(), maps.shape))


def captum(model: Model) -> Iterator[Contest]:
    import captum.attr as peer

    whole = Whole(model)
    where = whole.network.get_submodule(LAYER)

    def grown(heat: Tensor) -> Tensor:
        return nn.functional.interpolate(heat, model.input_size, mode="bilinear", align_corners=False)[0, 0]

    def of(method: str, layer: str | None, theirs: Callable[[Tensor, int], Tensor]) -> Contest:
        return Contest(method, "captum 0.9.0", mine(model, method, layer), theirs)

    zero = torch.tensor(model.mean)[None, :, None, None].expand(1, 3, *model.input_size)
    yield of("saliency", None, lambda x, c: peer.Saliency(whole).attribute(x, c)[0].amax(0))
    yield of("gradient-x-input:baseline=black", None, lambda x, c: peer.InputXGradient(whole).attribute(x, c)[0].sum(0))
    yield of(
        "integrated-gradients:baseline=mean",
        None,
        lambda x, c: peer.IntegratedGradients(whole).attribute(x, zero, c, n_steps=50, internal_batch_size=8)[0].sum(0),
    )
    yield of(
        "grad-cam",
        LAYER,
        lambda x, c: grown(peer.LayerGradCam(whole, where).attribute(x, c, relu_attributions=True).detach()),
    )
    yield Contest(
        "guided backpropagation, in colour",
        "captum 0.9.0",
        lambda x, c: guided_gradient(model, x, logit(c))[0],
        lambda x, c: peer.GuidedBackprop(whole).attribute(x, c)[0],
    )
    yield Contest(
        "deconvnet of the loudest neuron, in colour",
        "captum 0.9.0",
        lambda x, _: deconvolved(model, x, neuron(LAYER, *loudest(model, x)), LAYER)[0],
        lambda x, _: peer.NeuronDeconvolution(whole, where).attribute(x, loudest(model, x))[0],
    )


def grad_cam(model: Model) -> Iterator[Contest]:
    import pytorch_grad_cam as peer
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    whole = Whole(model)
    where = [whole.network.get_submodule(LAYER)]
    kinds = {
        "grad-cam": peer.GradCAM,
        "grad-cam++": peer.GradCAMPlusPlus,
        "layer-cam": peer.LayerCAM,
        "score-cam": peer.ScoreCAM,
    }
    for name, kind in kinds.items():

        def theirs(x: Tensor, c: int, kind: type = kind) -> Tensor:
            with kind(model=whole.network, target_layers=where) as asked:  # Score-CAM masks the normalised picture
                return torch.from_numpy(asked(model.normalize(x), [ClassifierOutputTarget(c)])[0])

        yield Contest(name, "grad-cam 1.5.5", mine(model, name, LAYER), theirs)


def torchray(model: Model) -> Iterator[Contest]:
    from torchray.attribution import gradient, guided_backprop

    whole = Whole(model)
    yield Contest(
        "saliency",
        "torchray 1.0.0.2",
        mine(model, "saliency"),
        lambda x, c: gradient.gradient(whole, x, c)[0, 0].detach(),
    )
    yield Contest(
        "guided-backprop",
        "torchray 1.0.0.2",
        mine(model, "guided-backprop"),
        lambda x, c: guided_backprop.guided_backprop(whole, x, c)[0, 0].detach(),
    )


PEERS = {"captum": captum, "grad-cam": grad_cam, "torchray": torchray}


def alike(a: Tensor, b: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([a.flatten().float(), b.flatten().float()]))[0, 1])


def timed(function: Callable[[Tensor, int], Tensor], image: Tensor, target: int) -> tuple[Tensor, float]:
    started = time.process_time()
    found = function(image.clone(), target).detach()
    return found, time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, default=DATA / "images" / "imagenet", help="INDEX_*.jpg")
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--only", default=",".join(PEERS), help="peers to run")
    options = parser.parse_args()
    model = squeezenet()
    files = sorted(options.images.glob("*.jpg"))[
        1 :: max(1, len(list(options.images.glob("*.jpg"))) // options.pictures)
    ]
    pictures = [(fit(read_picture(file), model.input_size)[None], int(file.name[:4])) for file in files]
    pictures = pictures[: options.pictures]
    print(f"\n{machine()}; SqueezeNet 1.0, {len(pictures)} photographs, class of each; layer {LAYER}\n")
    print("| method | peer | correlation, mean | least | our s | their s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in options.only.split(","):
        for contest in PEERS[name](model):
            likeness, seconds = [], [0.0, 0.0]
            for place, (image, target) in enumerate(pictures):
                (own, took), (other, took_theirs) = (
                    timed(contest.ours, image, target),
                    timed(contest.theirs, image, target),
                )
                likeness.append(alike(own, other))
                if place or len(pictures) == 1:  # the first one also warms up
                    seconds = [seconds[0] + took, seconds[1] + took_theirs]
            each = [total / max(len(pictures) - 1, 1) for total in seconds]
            mean = sum(likeness) / len(likeness)
            figures = f"{mean:.5f} | {min(likeness):.5f} | {each[0]:.2f} | {each[1]:.2f}"
            print(f"| {contest.name} | {contest.peer} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
