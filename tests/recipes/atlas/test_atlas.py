"""The atlas as a recipe: what it leaves on disk, that it resumes, and one line for bad input."""

import json
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import recipes.atlas.layout
from inverter import Model
from recipes import Atlas, Gallery
from recipes.activations.collect import CollectedActivations
from recipes.atlas.cells import cells, unit_square
from recipes.atlas.icon_objective import receptive_share
from recipes.atlas.layout import cached_layout, lay_out, lay_out_all
from recipes.cli.entry import main
from recipes.cli.recipe_file import kind, load_recipe


class Photos:
    """A dataset of 12 pictures, (3, 16, 16): each a colour of its own with a little noise."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Tensor:
        generator = torch.Generator().manual_seed(index)
        return (torch.rand(3, 1, 1, generator=generator) + 0.1 * torch.randn(3, 16, 16, generator=generator)).clamp(
            0, 1
        )


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A layout that takes no time: the first two channels. The list counts how often it was made."""
    made: list[int] = []

    def lay_out(vectors: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        made.append(len(vectors))
        return np.asarray(vectors[:, :2], dtype=np.float32)

    monkeypatch.setattr(recipes.atlas.layout, "lay_out", lay_out)
    return made


@pytest.fixture
def atlas(tiny_net: nn.Module, tmp_path: Path) -> Callable[..., Atlas]:
    model = Model(tiny_net, "tiny", input_size=(16, 16), categories=["ant", "bee", "cat", "dog", "<b>elk"])

    def make(**given: Any) -> Atlas:
        options = {
            "images": Photos(),
            "layer": "stem",
            "grid": "3,5",
            "steps": 3,
            "icon": 12,
            "out": str(tmp_path / "out"),
        }
        return Atlas(model=model, **(options | given))

    return make


def test_output_files(atlas: Callable[..., Atlas], flat: list[int], tmp_path: Path) -> None:
    report = atlas().run()
    out = tmp_path / "out"
    content = json.loads((out / "atlas.json").read_bytes())
    found = CollectedActivations.load(out / "activations")
    vectors = np.asarray(found.vectors("stem"), dtype=np.float32)
    vectors = vectors[vectors.any(axis=1)]  # one that is all zero has no direction, and no coordinates on the map
    places = unit_square(vectors[:, :2])
    assert [grid["grid"] for grid in content["grids"]] == [3, 5]
    for grid in content["grids"]:
        side = grid["grid"]
        expected = {(cell.row, cell.column): cell for cell in cells(places, side, min_members=10)}
        assert {(cell["row"], cell["column"]) for cell in grid["cells"]} == set(expected)
        with Image.open(out / grid["atlas"]) as full:
            assert full.size == (12 * side, 12 * side)
            alpha = np.asarray(full.getchannel("A")).reshape(side, 12, side, 12).all(axis=(1, 3))
        assert {(int(row), int(column)) for row, column in zip(*np.nonzero(alpha), strict=True)} == set(expected)
        directions = np.load(out / "directions" / f"{side}.npy")
        for cell in grid["cells"]:
            members = expected[cell["row"], cell["column"]].members
            assert cell["count"] == len(members)
            direction = directions[cell["direction"]["row"]]
            np.testing.assert_allclose(direction, vectors[members].mean(0), rtol=1e-5)
            assert (out / cell["icon"]).is_file()
            assert all((out / example["picture"]).is_file() for example in cell["examples"])
            pictures = [example["picture"] for example in cell["examples"]]
            assert len(set(pictures)) == len(pictures) > 0
            assert all(guess["effect"] > 0 for guess in cell["classes"])
    assert report.manifest.table[0]["cells"] == len(content["grids"][0]["cells"])
    assert report.made == sum(len(grid["cells"]) for grid in content["grids"])


def test_the_reported_cosine_is_that_of_the_icon_on_disk(
    atlas: Callable[..., Atlas], flat: list[int], tiny_net: nn.Module
) -> None:
    report = atlas(grid=3).run()
    directions = np.load(report.out / "directions" / "3.npy")
    for record in report.manifest.units.values():
        with Image.open(report.out / record.file) as picture:
            image = torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            centre = tiny_net.stem(Model(tiny_net).normalize(image))[0, :, 6, 6].numpy()
        unit = centre / np.linalg.norm(centre)
        cosines = directions @ unit / np.linalg.norm(directions, axis=1)
        row = record.metrics["direction"]["row"]
        assert record.metrics["cosine"] == pytest.approx(cosines[row], abs=1e-3)
        assert record.metrics["own"] == (cosines.argmax() == row)


def test_a_second_run_only_remakes_a_lost_icon(atlas: Callable[..., Atlas], flat: list[int]) -> None:
    report = atlas().run()
    assert len(flat) == 1
    file = next(iter(report.manifest.units))
    before = (report.out / file).read_bytes()
    (report.out / file).unlink()
    again = atlas().run()
    assert again.made == 1 and (report.out / file).read_bytes() == before
    assert len(flat) == 1  # the layout was reused


def test_an_interrupted_run_shows_finished_icons(atlas: Callable[..., Atlas], flat: list[int], tmp_path: Path) -> None:
    def stop(update: Any) -> None:
        if update.noun is None and update.done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atlas(batch_size=2).run(stop)
    content = json.loads((tmp_path / "out" / "atlas.json").read_bytes())
    assert sum(len(grid["cells"]) for grid in content["grids"]) == 2 < content["planned"]
    assert atlas(batch_size=2).run().made == content["planned"] - 2


def test_a_folder_of_another_recipe_is_left_alone(atlas: Callable[..., Atlas], flat: list[int], tmp_path: Path) -> None:
    model = atlas().model
    Gallery(model=model, layer="stem", channels="0", steps=1, size=12, out=str(tmp_path / "out")).run()
    before = (tmp_path / "out" / "index.html").read_bytes()
    with pytest.raises(ValueError, match="recipe is 'gallery', not 'atlas'"):
        atlas().run()
    assert (tmp_path / "out" / "index.html").read_bytes() == before


def test_a_run_with_other_settings_is_refused_and_leaves_the_finished_one_as_it_is(
    atlas: Callable[..., Atlas], flat: list[int]
) -> None:
    report = atlas().run()

    def lasting() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in report.out.rglob("*.npy") if "directions" in path.parts}

    before = lasting()
    assert before
    with pytest.raises(ValueError, match="min_members is 10, not 40"):
        atlas(min_members=40).run()
    assert lasting() == before


def test_the_receptive_share_of_an_icon(atlas: Callable[..., Atlas]) -> None:
    model = atlas().model
    assert receptive_share(model, "stem", (12, 12)) == pytest.approx(1 / 16)  # its field is 3x3 pixels
    assert receptive_share(model, "stem", (2, 2)) == 1


def test_a_layout_of_other_activations_is_not_reused(flat: list[int], tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4))
    for about in ({"layer": "a"}, {"layer": "a"}, {"layer": "b"}):
        cached_layout(tmp_path, vectors, about, method="umap", seed=0)
    assert flat == [30, 30]


def test_of_many_activations_a_sample_is_laid_out_and_the_others_placed_at_the_nearest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poles = np.repeat(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), 400, axis=0)
    generator = np.random.default_rng(0)
    vectors = (poles + 0.02 * generator.normal(size=poles.shape)) * generator.uniform(0.1, 9, size=(1200, 1))
    rows, fitted = np.arange(0, 1200, 2), []

    def lay_out(part: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        fitted.append(np.array(part))
        return 10.0 * np.stack([part.argmax(axis=1), part.argmin(axis=1) * 0], axis=1)

    monkeypatch.setattr(recipes.atlas.layout, "lay_out", lay_out)
    monkeypatch.setattr(recipes.atlas.layout, "CHUNK", 7)
    places = lay_out_all(vectors.astype(np.float16), rows, "umap", seed=0, max_fitted=60)
    np.testing.assert_allclose(places, [[10 * (row // 400), 0] for row in rows], atol=1e-4)
    assert [len(part) for part in fitted] == [60]
    np.testing.assert_array_equal(places, lay_out_all(vectors.astype(np.float16), rows, "umap", seed=0, max_fitted=60))
    np.testing.assert_array_equal(fitted[0], fitted[1])
    lay_out_all(vectors, rows, "umap", seed=0, max_fitted=600)
    assert len(fitted[2]) == 600


class Blind(nn.Module):
    """A network whose layer is zero for any input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean((2, 3))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"grid": "60"}, "fewer than the 3600 cells of a 60x60 grid"),
        ({"min_members": 10_000}, "no cell of a 3x3 grid has 10000"),
        ({"layer": "head"}, "not a map"),
        ({"layer": "sten"}, "stem"),
        ({"grid": "0"}, "grid must be"),
        ({"grid": "5,x"}, "grid must be"),
        ({"positions": "some"}, "positions must be"),
        ({"whiten": 0.0}, "whiten must be"),
        ({"layout": "pca"}, "unknown layout"),
        ({"power": -1.0}, "power must be"),
        ({"neighbors": 1}, "neighbors must be"),
    ],
)
def test_bad_input_is_one_line(atlas: Callable[..., Atlas], flat: list[int], given: dict[str, Any], line: str) -> None:
    with pytest.raises((ValueError, LookupError), match=line) as raised:
        atlas(**given).run()
    assert "\n" not in str(raised.value)


def test_the_layout_is_text_on_the_command_line_and_in_toml(tmp_path: Path) -> None:
    (layout,) = (field for field in fields(Atlas) if field.name == "layout")
    assert kind(layout) is str
    assert layout.metadata["choices"] == ("umap", "tsne")
    file = tmp_path / "atlas.toml"
    file.write_text('recipe = "atlas"\nimages = "photos"\nlayer = "a"\nlayout = "tsne"\n')
    assert load_recipe(file).layout == "tsne"  # type: ignore[attr-defined]
    file.write_text('recipe = "atlas"\nimages = "photos"\nlayer = "a"\nlayout = 3\n')
    with pytest.raises(ValueError, match="layout must be text, got 3"):
        load_recipe(file)


def test_a_layer_of_zeros_is_one_line(flat: list[int], tmp_path: Path) -> None:
    model = Model(Blind(), "blind", input_size=(16, 16))
    with pytest.raises(ValueError, match="outputs only zeros"):
        Atlas(model=model, images=Photos(), layer="layer", grid=2, icon=12, out=str(tmp_path / "out")).run()


def test_an_empty_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    arguments = ["--images", str(tmp_path / "photos"), "--layer", "features.stem", "--out", str(tmp_path / "out")]
    assert main(["atlas", *arguments]) == 2
    assert "no picture" in capsys.readouterr().err


def test_too_few_activations_for_a_layout() -> None:
    with pytest.raises(ValueError, match="got 5 activations, too few"):
        lay_out(np.ones((5, 3)), "umap", seed=0)


@pytest.mark.parametrize(("method", "module"), [("umap", "umap"), ("tsne", "sklearn.manifold")])
def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch, method: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=r"inverter-vis\[atlas\]"):
        lay_out(np.random.default_rng(0).normal(size=(50, 3)), method, seed=0)


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_activations_of_one_direction_are_one_line(method: str) -> None:
    # t-SNE of equal vectors takes the process down.
    lengths = np.random.default_rng(0).uniform(0.5, 2, size=(50, 1))
    with pytest.raises(ValueError, match="50 activations point in only 1 direction, too few"):
        lay_out(lengths * np.array([0.3, 0.7, 0.2]), method, seed=0)


def test_activations_of_one_direction_have_the_same_coordinates() -> None:
    pytest.importorskip("sklearn")
    vectors = np.random.default_rng(0).normal(size=(30, 4))
    alone = lay_out(vectors, "tsne", seed=0, neighbors=6)
    together = lay_out(np.repeat(vectors, 3, axis=0), "tsne", seed=0, neighbors=6)
    np.testing.assert_array_equal(together, np.repeat(alone, 3, axis=0))


@pytest.mark.parametrize("method", ["tsne", "umap"])
def test_layouts_separate_directions(method: str) -> None:
    pytest.importorskip("umap" if method == "umap" else "sklearn")
    generator = np.random.default_rng(0)
    poles = np.repeat(np.eye(3, 16), 40, axis=0) + 0.05 * generator.normal(size=(120, 16))
    vectors = poles * generator.uniform(0.1, 10, size=(120, 1))  # lengths do not matter
    threads = torch.get_num_threads()
    layout = lay_out(vectors, method, seed=0, neighbors=10)
    assert torch.get_num_threads() == threads
    groups = layout.reshape(3, 40, 2)
    within = max(np.linalg.norm(group - group.mean(0), axis=1).mean() for group in groups)
    between = min(np.linalg.norm(groups[i].mean(0) - groups[j].mean(0)) for i in range(3) for j in range(i))
    assert between > 2 * within
    np.testing.assert_array_equal(layout, lay_out(vectors, method, seed=0, neighbors=10))
