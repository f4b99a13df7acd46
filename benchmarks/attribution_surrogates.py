"""LIME and Kernel SHAP against their authors' LIME and Captum, for `attribution_vs_peers.py`.

Surrogates depend on which perturbed images are sampled. LIME gets our samples in place of its own, and both get our
superpixels, so that only the definition is compared: kernel, regression, and the replacement of a superpixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from contest import Contest, FullNetwork, mine
from torch import Tensor

from inverter import Model
from recipes.attribution.scoring.superpixels import superpixels

SAMPLES, SEGMENTS = 200, 30
WIDTH = 0.25 * 2**0.5
"""LIME's own .25: its kernel is the square root of the paper's, exp(-D^2 / (2 .25^2))."""


class Drawn(np.random.RandomState):
    """Random numbers for LIME: those that our method draws."""

    def randint(self, low: Any, high: Any = None, size: Any = None, *_: Any, **_more: Any) -> Any:
        # A row for each sample; LIME replaces the first by the complete image, ours has it before the others.
        generator, features = torch.Generator().manual_seed(0), size // SAMPLES
        rows = [torch.randint(0, 2, (1, features), generator=generator) for _ in range(SAMPLES - 1)]
        return torch.cat([torch.ones(1, features, dtype=torch.int64), *rows]).flatten().numpy()


def surrogates(model: Model) -> Iterator[Contest]:
    import captum.attr
    from lime.lime_image import LimeImageExplainer

    full = FullNetwork(model)

    def lime(x: Tensor, c: int) -> Tensor:
        pieces = superpixels(x[0], SEGMENTS)

        def classify(pictures: Any) -> Any:
            with torch.no_grad():
                return full(torch.from_numpy(pictures).permute(0, 3, 1, 2)).numpy()

        found = LimeImageExplainer(kernel_width=0.25, random_state=Drawn(0)).explain_instance(
            x[0].permute(1, 2, 0).numpy(),
            classify,
            labels=[c],
            top_labels=None,
            hide_color=0,
            num_samples=SAMPLES,
            batch_size=8,
            random_seed=0,
            segmentation_fn=lambda _: pieces.numpy(),
        )
        slopes = torch.zeros(int(pieces.max()) + 1)
        for piece, slope in found.local_exp[c]:
            slopes[piece] = slope
        return slopes[pieces]

    def kernel_shap(x: Tensor, c: int) -> Tensor:
        pieces = superpixels(x[0], SEGMENTS)
        torch.manual_seed(0)
        with torch.no_grad():
            found = captum.attr.KernelShap(full).attribute(
                x,
                torch.zeros_like(x),
                c,
                feature_mask=pieces[None, None],
                n_samples=SAMPLES,
                perturbations_per_eval=8,
            )
        return found[0, 0] / pieces.flatten().bincount()[pieces]

    options = f"samples={SAMPLES},segments={SEGMENTS},baseline=black"
    yield Contest(f"lime:{options},width=.354", "lime 0.2.0.1", mine(model, f"lime:{options},width={WIDTH}"), lime)
    yield Contest(
        f"kernel-shap:{options}", "captum 0.9.0", mine(model, f"kernel-shap:{options}"), kernel_shap, sums=True
    )
