"""The path of pictures among those of natural patches."""

from pathlib import Path

import pytest
import torch
from torch import nn

from inverter import Model, ReceptiveField, load_model
from inverter.fields.geometry import Axis
from recipes.evidence.natural_patches import Patch, centre_window
from recipes.evidence.path import departure, path_activations, path_ranks
from recipes.outputs.atomic import write_png


@pytest.fixture
def model() -> Model:
    return load_model(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()), input_size=16)


def test_a_picture_between_its_own_patches_ranks_first_and_an_unlike_one_last() -> None:
    generator = torch.Generator().manual_seed(1)
    centres = torch.nn.functional.one_hot(torch.arange(6), 32).float()
    owner = [unit for unit in range(6) for _ in range(4)]
    patches = 0.02 * torch.rand(24, 32, generator=generator) + centres[owner]
    pictures = centres.clone()
    pictures[0] = centres[1]  # as the patches of another unit are
    pictures[2] = -centres[2]
    ranks = path_ranks({"a": pictures}, {"a": patches}, owner, torch.eye(24, dtype=torch.bool))
    assert [ranks[unit] for unit in (1, 3, 4, 5)] == [[1.0]] * 4
    assert ranks[0][0] < 0.9
    assert ranks[2] == [0.0]
    assert departure(["a"], ranks[2]) == "a"
    assert departure(["a"], ranks[1]) is None


def test_patches_that_another_unit_shares_are_no_rivals() -> None:
    patches = torch.eye(3)
    same = torch.eye(3, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    ranks = path_ranks({"a": torch.eye(3)}, {"a": patches}, [0, 1, 2], same)
    assert ranks == [[1.0], [1.0], [1.0]]
    same[0, 2] = same[2, 0] = True
    assert path_ranks({"a": torch.eye(3)}, {"a": patches}, [0, 1, 2], same)[0] == []


def test_a_patch_is_the_mean_over_its_part_of_the_map(model: Model, tmp_path: Path) -> None:
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(2))
    write_png(tmp_path / "a.png", image)
    image = (image * 255).round() / 255
    found = path_activations(model, ["1"], [Patch(tmp_path / "a.png", (4, 0, 12, 8)), Patch(tmp_path / "a.png")])["1"]
    with torch.no_grad():
        maps = model.module(model.normalize(image[None]))[0]
    assert torch.allclose(found[0], maps[:, 4:12, 0:8].mean((1, 2)), atol=1e-5)
    assert torch.allclose(found[1], maps.mean((1, 2)), atol=1e-5)


def test_the_centre_of_a_field_stays_inside_of_the_picture() -> None:
    field = ReceptiveField(Axis(16, -24, 39), Axis(16, -24, 39))  # 64 px
    assert centre_window(field, (3, 0), (224, 224)) == (40, 0, 72, 32)
    wide = ReceptiveField(Axis(16, -140, 159), Axis(16, -140, 159))  # more than the picture: half of that
    assert centre_window(wide, (13, 7), (224, 224)) == (112, 66, 224, 178)
    assert centre_window(None, (0, 0), (224, 224)) is None
    assert centre_window(field, None, (224, 224)) is None


def test_patches_overlap_if_they_share_more_than_half_of_the_smaller() -> None:
    place = Path("a.jpg")
    assert Patch(place, (0, 0, 10, 10)).overlaps(Patch(place, (0, 4, 10, 14)))
    assert not Patch(place, (0, 0, 10, 10)).overlaps(Patch(place, (0, 5, 10, 15)))
    assert not Patch(place, (0, 0, 10, 10)).overlaps(Patch(Path("b.jpg"), (0, 0, 10, 10)))
    assert Patch(place).overlaps(Patch(place, (0, 0, 10, 10)))
