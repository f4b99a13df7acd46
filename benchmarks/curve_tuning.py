"""Which orientation of a curve each unit of GoogLeNet prefers, and how the circuits of curve units follow it.

    python benchmarks/curve_tuning.py FILE.safetensors [--channels 386,394]

FILE.safetensors are Caffe's weights under the names of `examples/googlenet.py`. Cammarata et al. 2020, "Curve
detectors": the response to synthetic arcs, by the orientation of the arc (radial tuning). An orientation is the
direction in which the curve bulges, counterclockwise from the right: 90 degrees is an arch, 270 a bowl.
"""

import argparse
import math

import torch
from torch import Tensor

from inverter import Model, load_model
from recipes.circuits.weights import expanded_weights

MODEL = "examples/googlenet.py:googlenet"
LAYER, INPUTS = "inception3b", "inception3a"
SPAN = 45.0
"""Degrees of an arc to either side of its middle."""
STROKE = 3.0
"""Width of the line in pixels."""
ACTIVE, SELECTIVE = 60.0, 0.3
"""Least response to a preferred arc, and least selectivity, of a unit that is counted as tuned."""


def arcs(size: int, radius: float, orientations: int) -> Tensor:
    """Arcs through the centre of a picture, light on dark.

    Args:
        size: side of the pictures in pixels.
        radius: of the arcs in pixels.
        orientations: number of them, evenly spaced from 0 degrees.

    Returns:
        (orientations, size, size) in [0, 1].
    """
    at = torch.arange(size) - (size - 1) / 2
    y, x = torch.meshgrid(-at, at, indexing="ij")
    angles = torch.arange(orientations)[:, None, None] * (2 * math.pi / orientations)
    across, up = angles.cos(), angles.sin()
    from_x, from_y = x + radius * across, y + radius * up  # from the middle of the circle
    distance = (from_x.square() + from_y.square()).sqrt()
    turned = ((from_x * across + from_y * up) / distance.clamp_min(1e-6)).clamp(-1, 1).acos()
    line = (STROKE / 2 + 0.5 - (distance - radius).abs()).clamp(0, 1)
    return line * ((math.radians(SPAN) - turned) * radius + 0.5).clamp(0, 1)


@torch.no_grad()
def tuning(model: Model, layer: str, size: int, radii: tuple[float, ...], orientations: int) -> Tensor:
    """The responses of a layer's central units to arcs, light on dark and dark on light.

    Args:
        model: the network, of colour pictures.
        layer: address of a layer with maps.
        size: side of the pictures in pixels.
        radii: of the arcs in pixels.
        orientations: number of orientations.

    Returns:
        (orientations, C): the highest activation in the 3x3 positions about the centre, averaged over radii and
        contrasts.
    """
    total = torch.zeros(())
    with model.capture([layer]) as capture:
        for radius in radii:
            for light in (False, True):
                line = arcs(size, radius, orientations)
                grey = 0.5 + 0.9 * ((line if light else 1 - line) - 0.5)
                maps = capture(model.normalize(grey[:, None].expand(-1, 3, -1, -1)))[layer]
                y, x = maps.shape[2] // 2, maps.shape[3] // 2
                total = total + maps[:, :, y - 1 : y + 2, x - 1 : x + 2].amax((2, 3)).float()
    return total / (2 * len(radii))


def preferred(responses: Tensor) -> tuple[Tensor, Tensor]:
    """The preferred orientation of each unit, and its selectivity.

    Args:
        responses: (orientations, C), at least 0.

    Returns:
        Degrees in [0, 360), and the length of the mean direction in [0, 1], each (C,).
    """
    angles = torch.arange(len(responses)) * (2 * math.pi / len(responses))
    mean = (responses * torch.polar(torch.ones_like(angles), angles)[:, None]).sum(0)
    mean = mean / responses.sum(0).clamp_min(1e-6)
    return torch.rad2deg(mean.angle()) % 360, mean.abs()


def difference(one: Tensor, other: Tensor | float) -> Tensor:
    """The angle between two orientations in degrees, from -180 to 180."""
    return (one - other + 180) % 360 - 180


def main() -> None:
    """Prints the curve units of 3b, and of each chosen one its strongest inputs with their orientations."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("weights")
    arguments.add_argument("--channels", default="386,394,321,326")
    given = arguments.parse_args()
    model = load_model(MODEL, given.weights, device="cpu")
    known = {layer: tuning(model, layer, 224, (25, 40, 60), 24) for layer in (LAYER, INPUTS)}
    (angles, selectivity), (input_angles, input_selectivity) = (preferred(each) for each in known.values())
    highest = known[INPUTS].amax(0)
    tuned = (highest > ACTIVE) & (input_selectivity > SELECTIVE)
    curves = [c for c in range(len(angles)) if known[LAYER][:, c].max() > 150 and selectivity[c] > 0.8]
    print("curve units:", ", ".join(f"{c} ({angles[c]:.0f})" for c in sorted(curves, key=lambda c: float(angles[c]))))
    correlations = []
    for channel in curves:
        weights = expanded_weights(model, LAYER, [channel], INPUTS).kernels[0].sum((1, 2))[tuned]
        away = torch.deg2rad(difference(input_angles[tuned], angles[channel]))
        correlations.append(float(torch.corrcoef(torch.stack([weights, away.cos()]))[0, 1]))
    print(f"{len(curves)} curve units, {int(tuned.sum())} tuned inputs: r of weight and cosine of the difference:")
    print(", ".join(f"{c}: {r:.2f}" for c, r in zip(curves, correlations, strict=True)))
    for channel in map(int, given.channels.split(",")):
        kernels = expanded_weights(model, LAYER, [channel], INPUTS).kernels[0]
        weights, norms = kernels.sum((1, 2)), kernels.flatten(1).norm(dim=1)
        print(f"{LAYER}:{channel}, {angles[channel]:.0f} degrees, selectivity {selectivity[channel]:.2f}")
        for word, mine in (("excited by", weights > 0), ("inhibited by", weights < 0)):
            order = torch.where(mine, norms, -1.0).argsort(descending=True)[:6].tolist()
            print(f"  {word}:", "; ".join(_described(c, weights, input_angles, angles[channel], tuned) for c in order))


def _described(channel: int, weights: Tensor, angles: Tensor, mine: Tensor, tuned: Tensor) -> str:
    away = f"{float(difference(angles[channel], mine)):+.0f}" if tuned[channel] else "not tuned"
    return f"{channel} ({weights[channel]:+.2f}, {away})"


if __name__ == "__main__":
    main()
