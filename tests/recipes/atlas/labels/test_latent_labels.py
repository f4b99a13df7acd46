"""Cells of an atlas are labelled by the latents that are strongest in their members."""

import numpy as np
import pytest
import torch
from torch import nn

from inverter import Directions, load_model
from recipes.atlas.labels.latent_labels import LABELS, latent_labels


def test_the_strongest_on_average_come_first() -> None:
    rows = torch.eye(3)
    known = Directions("0", rows, gate="topk", k=1, names=["bark", "", "leaf"])
    model = load_model(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), input_size=8)
    members = np.array([[5.0, 1, 0], [1, 2, 0], [4, 1, 0]], np.float32)
    assert latent_labels(model, "0", members) == []
    labelled = model.with_directions({"sae": known})
    expected = [
        {"latent": 0, "value": pytest.approx(3.0), "name": "bark"},
        {"latent": 1, "value": pytest.approx(2 / 3)},
    ]
    assert latent_labels(labelled, "0", members) == expected
    assert latent_labels(labelled, "1", members) == []  # the set is of another layer
    own = latent_labels(labelled, "0:sae", members)  # these are latents already
    assert [each["latent"] for each in own] == [0, 1] and own[0]["value"] == pytest.approx(10 / 3)


def test_no_more_than_a_few() -> None:
    model = load_model(nn.Conv2d(3, 20, 1), input_size=8).with_directions({"all": Directions("", torch.eye(20))})
    assert len(latent_labels(model, "output", np.ones((2, 20), np.float32))) == LABELS
