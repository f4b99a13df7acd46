"""Latents climbed through their closed gates, and without: the true activations of the finished pictures.

    python benchmarks/climbed_gates.py SET.safetensors --model torchvision:squeezenet1_0 --weights FILE [--count 8]

SET is a file of `inverter learn-directions` with a gate. Its latents are spread evenly over their indices; each picture
is made twice from the same draws: with the loop's defaults, and with closed gates that have no gradient. See
docs/directions.md.
"""

from __future__ import annotations

import argparse
import json
from unittest.mock import patch

from common import spread_out
from torch import Tensor

from inverter import Directions, Settings, load_model, optimize
from inverter.ascent.climbed_gates import ClimbedGates
from inverter.patches import reads_patches
from objectives import channel
from priors import Fourier


def main() -> None:
    """Prints the mean activation over the map of each latent, climbed and not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("--model", required=True)
    parser.add_argument("--weights")
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    model = load_model(options.model, options.weights).with_directions({"set": Directions.load(options.set)})
    (layer,) = model.derived_layers()
    latents = spread_out(options.count, model.shapes([layer])[layer][1])
    augment = "tokens" if reads_patches(model) else "standard"

    def made() -> Tensor:
        prior = Fourier(len(latents), size=model.input_size)
        return optimize(model, channel(layer, latents), prior, Settings(steps=32), augment).scores

    climbed = made()
    with patch.object(ClimbedGates, "__enter__", lambda self: self), patch.object(ClimbedGates, "__exit__"):
        blocked = made()
    for latent, one, other in zip(latents, climbed.tolist(), blocked.tolist(), strict=True):
        print(json.dumps({"latent": latent, "climbed": round(one, 2), "blocked": round(other, 2)}))
    print(json.dumps({"higher": int((climbed > blocked).sum()), "of": len(latents)}))


if __name__ == "__main__":
    main()
