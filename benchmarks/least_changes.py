"""Norms of the least changes that `inverter adversarial` and foolbox find, on the same pictures in as many steps.

foolbox is not among the development requirements: `pip install --no-deps foolbox eagerpy`. Its attacks are continuous;
how many of their pictures survive 8 bits is counted as well.
"""

from __future__ import annotations

import argparse
import sys
import time
import types
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inverter import Model, encode, load_model
from recipes.adversarial.goals import other_class
from recipes.adversarial.least_change import NORMS, as_bytes, least_change, size_of
from recipes.pictures.sets import picture_set


class _Normalized(nn.Module):
    """The network with its normalisation in front."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.model.module(self.model.normalize(image))
        return found


def ours(model: Model, images: Tensor, classes: Tensor, steps: int) -> None:
    """Prints the norms of our changes."""
    for norm in NORMS:
        started = time.perf_counter()
        found = least_change(model, other_class("", classes.tolist()), images, norm, steps)
        size = size_of(found.images - images, norm)
        row("inverter", norm, found.continuous, time.perf_counter() - started)
        print(f"|  | in 8 bits: median {1000 * float(size.median()):.3g}, {int(found.reached.sum())} survive |")


def foolbox(model: Model, images: Tensor, classes: Tensor, steps: int) -> None:
    """Prints the norms of foolbox's changes."""
    sys.modules.setdefault("git", types.ModuleType("git")).__dict__.setdefault("Repo", object)  # of its model zoo
    import foolbox as peer

    network = _Normalized(model).eval()
    wrapped = peer.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attacks = {
        ("DDN", "l2"): peer.attacks.DDNAttack(steps=steps),
        ("FMN", "l2"): peer.attacks.L2FMNAttack(steps=steps),
        ("FMN", "linf"): peer.attacks.LInfFMNAttack(steps=steps),
    }
    for (name, norm), attack in attacks.items():
        started = time.perf_counter()
        _, changed, reached = attack(wrapped, images, classes, epsilons=None)
        size = size_of(changed - images, norm).where(reached, torch.tensor(torch.inf))
        row(f"foolbox {name}", norm, size, time.perf_counter() - started)
        survive = network(as_bytes(changed)).argmax(1) != classes
        print(f"|  | rounded to 8 bits: {int(survive.sum())} survive |", flush=True)


def row(name: str, norm: str, size: Tensor, seconds: float) -> None:
    """Prints one line: norms in thousandths of the range of values."""
    each = ", ".join(f"{1000 * value:.3g}" for value in size.tolist())
    print(f"| {name} | {norm} | {1000 * float(size.median()):.3g} | {each} | {seconds:.0f} s |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="torchvision:squeezenet1_0")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--normalize")
    parser.add_argument("--image", action="append", required=True)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--alone", action="store_true", help="without foolbox")
    given = parser.parse_args(arguments)
    model = load_model(given.model, given.weights, given.normalize, "cpu")
    pictures = picture_set(given.image)
    size = model.size_for()
    images = as_bytes(torch.stack([pictures.read(index, size) for index in range(len(pictures))]))
    classes = encode(model, images, "")[""].argmax(1)
    print(f"{given.model}, {len(images)} pictures, {given.steps} steps; norms in 1/1000 of the range of values")
    ours(model, images, classes, given.steps)
    if not given.alone:
        foolbox(model, images, classes, given.steps)


if __name__ == "__main__":
    main()
