"""Icons of a trained network show their cells."""

import torch
from torch import Tensor

from inverter import Model, Settings, optimize
from priors import Fourier
from recipes.atlas.cells import contrasts, own_cell
from recipes.atlas.icon_objective import ICON_PRIOR, icon_objective

LAYER, SIZE = "features.12", (96, 96)


def test_icons_of_a_trained_network_are_nearest_to_their_own_directions(squeezenet: Model, photographs: Tensor) -> None:
    with torch.no_grad(), squeezenet.capture([LAYER]) as capture:
        maps = capture(squeezenet.normalize(photographs))[LAYER].float()
    means = maps[:, :, 2:5, 2:5].mean((2, 3)).numpy()  # a cell for each photograph: its middle
    chosen = [1, 5, 11]
    targets = torch.from_numpy(contrasts(means, maps.mean((0, 2, 3)).numpy())[chosen])
    objective = icon_objective(squeezenet, LAYER, torch.from_numpy(means[chosen]), targets, 6, SIZE)
    images = optimize(squeezenet, objective, Fourier(3, SIZE, **ICON_PRIOR), Settings(steps=20), "light").images
    with torch.no_grad(), squeezenet.capture([LAYER]) as capture:
        shown = capture(squeezenet.normalize(images))[LAYER].float()
    cosine, own = own_cell(shown[:, :, shown.shape[2] // 2, shown.shape[3] // 2].numpy(), means, chosen)
    assert own.all()
    assert cosine.min() > 0.6
