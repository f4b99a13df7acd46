"""Two atlases on one map: the same positions in both, errors, and the output files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

import recipes.atlas.layout
from inverter import Model
from recipes import Atlas
from recipes.activations.collect import CollectedActivations
from recipes.atlas.joint_layers import JointActivations, collect_joint, joint_vectors
from recipes.atlas.labels.class_attributions import strongest
from recipes.atlas.layer_choice import AtlasLayer, LayerChoice
from recipes.cli.recipe_file import load_recipe
from recipes.runner.context import RunContext


class Photos:
    """A dataset of 12 pictures, (3, 16, 16): each a colour of its own with a little noise."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Tensor:
        generator = torch.Generator().manual_seed(index)
        colour, noise = torch.rand(3, 1, 1, generator=generator), torch.randn(3, 16, 16, generator=generator)
        return (colour + 0.1 * noise).clamp(0, 1)


class Halving(nn.Module):
    """Pictures of 16 pixels to a map of 16, then to one of 8: one channel of each is the red at that position."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 4, 1)
        self.coarse = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.coarse(self.fine(x))).flatten(1))


@pytest.fixture
def halving() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Model(Halving().eval(), "halving", input_size=(16, 16))


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """A layout that takes no time: the first two channels. The list has the shapes that were laid out."""
    made: list[tuple[int, ...]] = []

    def lay_out(vectors: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        made.append(vectors.shape)
        return np.asarray(vectors[:, :2], dtype=np.float32)

    monkeypatch.setattr(recipes.atlas.layout, "lay_out", lay_out)
    return made


@pytest.fixture
def atlas(halving: Model, tmp_path: Path) -> Callable[..., Atlas]:
    def make(**given: Any) -> Atlas:
        options = {"layer": "fine", "with_": "coarse", "grid": "2,3", "min_members": 5, "steps": 2, "icon": 16}
        return Atlas(model=halving, images=Photos(), out=str(tmp_path / "out"), **(options | given))

    return make


# ---- The same positions ----


@given(st.integers(0, 9999), st.integers(2, 40))
def test_the_distance_of_joint_vectors_is_the_mean_of_the_layers_own(seed: int, channels: int) -> None:
    generator = np.random.default_rng(seed)
    parts = [generator.normal(size=(2, width)) * generator.uniform(0.1, 100) for width in (channels, 3)]
    joint = joint_vectors(parts)
    cosines = [part[0] @ part[1] / np.linalg.norm(part, axis=1).prod() for part in parts]
    assert joint[0] @ joint[1] / np.linalg.norm(joint, axis=1).prod() == pytest.approx(np.mean(cosines), abs=1e-5)


@pytest.mark.parametrize("positions", ["one", 5, "all"])
def test_row_i_is_the_same_position_in_each_layer(halving: Model, tmp_path: Path, positions: int | str) -> None:
    layers = [AtlasLayer(halving, "fine"), AtlasLayer(halving, "coarse", "with/")]
    joint = collect_joint(layers, Photos(), out=tmp_path, positions=positions, seed=0)
    fine, coarse = (joint.of(layer).where(layer.address) for layer in layers)
    assert len(fine) == len(coarse) == 12 * {"one": 1, "all": 36}.get(str(positions), positions)
    np.testing.assert_array_equal(fine[:, 0], coarse[:, 0])
    # The middle of position i of 8 is at (2 i + 1) of 16: the position there of a map of 16
    np.testing.assert_array_equal(fine[:, 1:], 2 * coarse[:, 1:] + 1)
    assert len({tuple(row) for row in coarse.tolist()}) == len(coarse)
    vectors = joint.of(layers[0]).vectors("fine")
    picture, y, x = fine[7].tolist()
    with torch.no_grad():
        expected = halving.module.fine(halving.normalize(Photos()[picture][None]))[0, :, y, x]
    np.testing.assert_allclose(vectors[7], expected, atol=2e-3)


def test_only_positions_where_both_layers_are_active_are_laid_out(tmp_path: Path, halving: Model) -> None:
    class Kept:
        def __init__(self, rows: list[list[float]]) -> None:
            self.rows = np.array(rows)

        def vectors(self, _: str) -> np.ndarray:
            return self.rows

    layers = [AtlasLayer(halving, "a"), AtlasLayer(halving, "b")]
    found: Any = [Kept([[1, 0], [0, 0], [3, 4], [1, 1]]), Kept([[2], [1], [5], [0]])]
    keep: Any = None
    joint = JointActivations(layers, found, keep)
    assert joint.nonzero.tolist() == [0, 2]
    np.testing.assert_allclose(joint.vectors()[joint.nonzero], [[1, 0, 1], [0.6, 0.8, 1]], rtol=1e-6)


# ---- The recipe ----


def cells(path: Path) -> dict[tuple[int, int, int], Mapping[str, Any]]:
    return {(g["grid"], c["row"], c["column"]): c for g in json.loads(path.read_bytes())["grids"] for c in g["cells"]}


def test_both_atlases_are_written_with_the_same_cells(
    atlas: Callable[..., Atlas], flat: list[tuple[int, ...]], halving: Model
) -> None:
    report = atlas().run()
    out = report.out
    assert flat[0][1] == 4 + 6 and len(flat) == 1  # one layout, of both layers
    first, second = cells(out / "atlas.json"), cells(out / "with" / "atlas.json")
    assert set(first) == set(second) and len(first) > 2
    assert [json.loads((out / file).read_bytes())["layer"] for file in ("atlas.json", "with/atlas.json")] == [
        "fine",
        "coarse",
    ]
    found = CollectedActivations.load(out / "activations")
    for layer, below, content in (("fine", out, first), ("coarse", out / "with", second)):
        for (side, row, column), cell in content.items():
            assert cell["count"] == first[side, row, column]["count"]
            direction = np.load(below / cell["direction"]["file"])[cell["direction"]["row"]]
            assert len(direction) == found.vectors(layer).shape[1]
            assert all((below / example["picture"]).is_file() for example in cell["examples"])
            with Image.open(below / cell["icon"]) as icon:
                image = torch.from_numpy(np.asarray(icon.convert("RGB")).copy()).permute(2, 0, 1)[None].float() / 255
            with torch.no_grad(), halving.capture([layer]) as capture:
                maps = capture(halving.normalize(image))[layer]
            centre = maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].numpy()
            cosine = centre @ direction / np.linalg.norm(centre) / np.linalg.norm(direction)
            assert cell["cosine"] == pytest.approx(cosine, abs=1e-3)  # each icon is of its own layer
        assert (below / "atlas-3.png").is_file()
    assert [row["layer"] for row in report.manifest.table] == ["fine", "fine", "coarse", "coarse"]
    assert "coarse" in report.page.read_text(encoding="utf-8")


def test_with_a_class_both_show_the_positions_that_support_it_in_the_first(
    atlas: Callable[..., Atlas], flat: list[tuple[int, ...]]
) -> None:
    recipe = atlas(class_=1, share=0.3, grid=2)
    out = recipe.run().out
    values = np.load(out / "attributions" / "1.npy")
    first, second = (recipe._surveys(RunContext(recipe, recipe.load()))[folder] for folder in ("", "with/"))
    shown = np.isfinite(first.places[:, 0])
    np.testing.assert_array_equal(first.places, second.places)
    assert flat == [(shown.sum(), 4 + 6)] and 0 < shown.sum() <= round(0.3 * len(values))
    # A position where the second layer is all zero is left out, whatever its attribution.
    assert set(np.flatnonzero(shown)) == set(strongest(values, 0.3)) & set(np.flatnonzero(second.vectors.any(axis=1)))
    assert (values[shown] > 0).all()
    assert set(cells(out / "atlas.json")) == set(cells(out / "with" / "atlas.json"))


def test_a_second_run_only_remakes_a_lost_icon(atlas: Callable[..., Atlas], flat: list[tuple[int, ...]]) -> None:
    report = atlas(grid=2).run()
    file = next(file for file in report.manifest.units if file.startswith("with/"))
    before = (report.out / file).read_bytes()
    (report.out / file).unlink()
    again = atlas(grid=2).run()
    assert again.made == 1 and (report.out / file).read_bytes() == before
    assert len(flat) == 1


def test_another_network_has_its_own_pass(
    atlas: Callable[..., Atlas], flat: list[tuple[int, ...]], tiny_net: nn.Module
) -> None:
    other = Model(tiny_net, "tiny", input_size=(24, 24))
    report = atlas(grid=2, with_={"layer": "stem", "model": other}).run()
    content = json.loads((report.out / "with" / "atlas.json").read_bytes())
    assert content["model"]["spec"] == "tiny" and content["model"]["sha256"] == other.sha256
    assert report.manifest.settings["with"]["model"]["sha256"] == other.sha256
    assert flat[0][1] == 4 + 8
    first, second = (CollectedActivations.load(report.out / below / "activations") for below in ("", "with"))
    assert first.size == (16, 16) and second.size == (24, 24)
    assert len(first.vectors("fine")) == len(second.vectors("stem"))
    assert all(cell["cosine"] is not None for cell in content["grids"][0]["cells"])
    with torch.no_grad():
        tiny_net.stem[0].weight.mul_(-1)
    changed = Model(tiny_net, "tiny", input_size=(24, 24))
    with pytest.raises(ValueError, match=r"its with is .*sha256"):
        atlas(grid=2, with_={"layer": "stem", "model": changed}).run()


@pytest.mark.parametrize(
    ("with_", "line"),
    [
        ("fine", "is the atlas layer itself"),
        ("corse", "coarse"),
        ("head", "not a map"),
        ("", "expected an address"),
        ("model=tiny", "which layer"),
        ("layer=coarse,wieghts=x", "weights"),
        ("layer=coarse,weights=x", "no model"),
        ("layer=coarse,oops", "is not OPTION=VALUE"),
        (7, "must be text or a table"),
    ],
)
def test_bad_input_is_one_line(atlas: Callable[..., Atlas], flat: list[tuple[int, ...]], with_: Any, line: str) -> None:
    with pytest.raises((ValueError, LookupError), match=line) as raised:
        atlas(with_=with_).run()
    assert "\n" not in str(raised.value)


def test_another_aspect_ratio_is_rejected(atlas: Callable[..., Atlas], tiny_net: nn.Module) -> None:
    wide = Model(tiny_net, "wide", input_size=(16, 24))
    with pytest.raises(ValueError, match="wide takes images of 16x24 pixels and halving of 16x16"):
        atlas(with_={"layer": "stem", "model": wide}).run()


def test_text_and_toml_are_equivalent(tmp_path: Path) -> None:
    text = LayerChoice.parse("layer=features.13, model=torchvision:mobilenet_v2, weights=a.pt, normalize=half")
    file = tmp_path / "atlas.toml"
    file.write_text(
        'recipe = "atlas"\nimages = ["photos"]\nlayer = "features.12"\n[with]\nlayer = "features.13"\n'
        'model = "torchvision:mobilenet_v2"\nweights = "a.pt"\nnormalize = "half"\n'
    )
    assert LayerChoice.parse(load_recipe(file).with_) == text
    file.write_text('recipe = "atlas"\nimages = ["photos"]\nlayer = "features.12"\nwith = "features.9"\n')
    assert LayerChoice.parse(load_recipe(file).with_) == LayerChoice("features.9")
