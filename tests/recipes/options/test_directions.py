"""Sets of directions on the command line: every recipe takes their latents as it takes channels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inverter import BadInput, BadType, Directions, Model, encode, evaluate, load_model
from inverter.directions.digest import digest
from objectives import FeatureStatistics, channel
from recipes import Dictionary, Explain, Gallery, Grid, Patches, Statistics
from recipes.attribution import explain
from recipes.cli import main
from recipes.cli.repeat import repeat
from recipes.options.directions import by_name, set_name
from recipes.options.targets import Target
from recipes.pictures.reading import read_picture

LAYER = "features.stage2"
ADDRESS = f"{LAYER}:parts"


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("builtin", device="cpu")


def a_set(network: Model, **more: Any) -> Directions:
    """Six directions: the principal components of the layer on noise, with a ReLU."""
    torch.manual_seed(0)
    vectors = encode(network, torch.rand(8, 3, 64, 64), LAYER)[LAYER].movedim(1, -1).flatten(0, 2)
    rows = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False).Vh[:6]
    given = {"layer": LAYER, "decoder": rows, "center": vectors.mean(0), "gate": "relu", "sha256": network.sha256}
    names = ["first of all", "", "third", "", "", ""]
    return Directions(**{**given, "model": "builtin", "names": names, **more})


@pytest.fixture
def file(tmp_path: Path, model: Model) -> str:
    a_set(model).save(tmp_path / "parts.safetensors")
    return str(tmp_path / "parts.safetensors")


@pytest.fixture
def photos(tmp_path: Path) -> str:
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(3):
        noise = np.random.default_rng(index).integers(0, 255, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return str(folder)


def units(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "manifest.json").read_text())["units"]
    return found


def test_a_gallery_of_latents(model: Model, file: str, photos: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = f"--directions {file} --latents 0-2 --images {photos}"
    assert main(f"gallery {given} --size 64 --steps 4 --out {out}".split()) == 0
    made = units(out)
    assert [(unit["layer"], unit["channel"], unit.get("name")) for unit in made] == [
        (ADDRESS, 0, "first of all"),
        (ADDRESS, 1, None),
        (ADDRESS, 2, "third"),
    ]
    assert made[0]["file"] == "images/features.stage2_parts/0000-first-of-all.png"
    assert all(len(unit["metrics"]["patches"]) == 3 for unit in made)
    known = model.with_directions({"parts": a_set(model)})
    picture = read_picture(out / made[2]["file"])[None]
    assert float(evaluate(known, channel(ADDRESS, 2), picture)) == pytest.approx(made[2]["score"], rel=0.05)
    page = (out / "index.html").read_text()
    assert f'"latents":["{ADDRESS}"' in page


def test_a_gallery_of_dot_products(model: Model, file: str, tmp_path: Path) -> None:
    recipe = Gallery(directions=file, latents=[3], objective="direction", size=64, steps=4, out=str(tmp_path / "out"))
    (record,) = recipe.run(None).manifest.units.values()
    assert (record.layer, record.objective) == (f"{ADDRESS}.dot", "channel")
    picture = read_picture(tmp_path / "out" / record.file)[None]
    dots = encode(model, picture, LAYER)[LAYER].mean((2, 3)) @ a_set(model).decoder[3]
    assert record.score == pytest.approx(float(dots), rel=0.05)


def test_the_manifest_records_the_directions_and_repeat_and_resume_notice_others(
    model: Model, file: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    recipe = Gallery(directions=file, latents="0,1", size=32, steps=2, device="cpu", out=str(out))
    recipe.run(None)
    about = json.loads((out / "manifest.json").read_text())
    assert about["settings"]["directions"] == [file] and about["model"]["directions"] == {ADDRESS: digest(a_set(model))}
    assert [made.same for made in repeat(out, f"{ADDRESS}/1")] == [True]
    assert recipe.run(None).made == 0
    assert Gallery(directions=file, channels=range(3), size=32, steps=2, device="cpu", out=str(out)).run(None).made == 1
    a_set(model, gate="none").save(file)
    with pytest.raises(BadInput, match=f"the directions of {ADDRESS} have changed"):
        recipe.run(None)
    with pytest.raises(BadInput, match=f"the directions of {ADDRESS} have changed"):
        repeat(out, f"{ADDRESS}/1")


def test_patches_of_latents(model: Model, file: str, photos: str, tmp_path: Path) -> None:
    report = Patches(images=photos, directions=file, latents="0,5", count=2, size=64, out=str(tmp_path / "out")).run(
        None
    )
    first, _ = report.manifest.units.values()
    assert (first.layer, first.channel, first.name) == (ADDRESS, 0, "first of all")
    images = torch.stack([read_picture(f"{photos}/{index}.png") for index in range(3)])
    highest = a_set(model).encode(encode(model, images, LAYER)[LAYER], axis=1)[:, 0].amax((1, 2))
    assert [patch["value"] for patch in first.metrics["most"]] == pytest.approx(
        highest.sort().values.flip(0)[:2].tolist()
    )


@pytest.mark.parametrize("kind", [Dictionary, Grid])
def test_a_photo_in_latents(kind: type[Dictionary] | type[Grid], file: str, photos: str, tmp_path: Path) -> None:
    shared = {"image": f"{photos}/0.png", "directions": file, "icon": 32, "steps": 2, "size": 64}
    more = {"positions": "2,3"} if kind is Dictionary else {"pool": 8}
    found = list(kind(**shared, **more, out=str(tmp_path / "out")).run(None).manifest.units.values())  # type: ignore[arg-type]
    cells = [record for record in found if record.objective == "direction"]
    assert cells and {record.layer for record in cells} == {ADDRESS}
    listed = [each for record in cells for each in record.metrics["channels"]]
    assert all(each.get("name") == {0: "first of all", 2: "third"}.get(each["channel"]) for each in listed)
    assert all(each["value"] > 0 for each in listed)
    if kind is Dictionary:
        icons = {record.channel for record in found if record.objective == "channel"}
        assert icons == {each["channel"] for each in listed}


def test_what_drives_a_latent(model: Model, file: str, photos: str, tmp_path: Path) -> None:
    target = f"latent:{file}:2"
    recipe = Explain(
        image=f"{photos}/0.png", target=target, method=["saliency", "grad-cam"], size=64, out=str(tmp_path)
    )
    made = [record for record in recipe.run(None).manifest.units.values() if record.channel is not None]
    assert {(record.layer, record.channel, record.name) for record in made} == {(ADDRESS, 2, "third")}
    assert {record.metrics["target"] for record in made} == {f"channel:{ADDRESS}:2"}
    image = read_picture(f"{photos}/0.png")[None]
    known = model.with_directions({"parts": a_set(model)})
    for record in made:
        kept = np.load(tmp_path / record.extra_files["array"])
        again = explain(known, image, channel(ADDRESS, 2), record.metrics["method"])[0]
        np.testing.assert_allclose(kept, again.numpy(), atol=1e-5 * float(again.abs().max()))
    assert torch.equal(
        explain(model, image, target, "saliency"), explain(known, image, f"channel:{ADDRESS}:2", "saliency")
    )


def test_latents_are_a_layer_that_a_map_can_be_made_at(model: Model, file: str) -> None:
    """The gradient with respect to latents is that through the decoder; what they leave out stays as it is."""
    from recipes.attribution.scoring.layers import layer_gradient

    known, image = model.with_directions({"parts": a_set(model)}), torch.rand(1, 3, 64, 64)
    later = channel("features.stage4", 1)
    latents, gradient = layer_gradient(known, image, later, ADDRESS)
    _, below = layer_gradient(known, image, later, LAYER)
    torch.testing.assert_close(
        gradient, torch.einsum("bchw,nc->bnhw", below, a_set(model).decoder), atol=1e-6, rtol=1e-3
    )
    torch.testing.assert_close(latents, encode(known, image, ADDRESS)[ADDRESS])


def test_statistics_of_latents_hold_pictures_to_them(file: str, photos: str, tmp_path: Path) -> None:
    statistics = tmp_path / "natural.safetensors"
    Statistics(model="builtin", directions=file, layers=[ADDRESS], images=photos, size=64, out=str(statistics)).run(
        None
    )
    assert FeatureStatistics.load(statistics)[ADDRESS].channels == 6
    more = {"natural": str(statistics), "size": 64, "steps": 2}
    assert Gallery(directions=file, latents=0, **more, out=str(tmp_path / "out")).run(None).made == 1


def test_layers_lists_them(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "--directions", file, "--size", "64"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    (row,) = (row for row in rows if row[:1] == [ADDRESS])
    assert row[1:3] == ["Directions", "(relu)"] and "6" in row


def test_files_have_names() -> None:
    assert by_name("a/sae.safetensors") == {"sae": "a/sae.safetensors"}
    assert set_name("the set: 1.safetensors") == "the-set-1"
    with pytest.raises(BadInput, match="have one name, sae: rename one"):
        by_name(["a/sae.safetensors", "b/sae.safetensors"])
    with pytest.raises(BadType, match="expected a file or a set of directions, got int"):
        by_name(3)  # type: ignore[arg-type]


def test_bad_input_is_one_line(model: Model, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_set(model, sha256="0" * 64, model="timm:other").save(tmp_path / "other.safetensors")
    a_set(model, layer="features.9").save(tmp_path / "unknown.safetensors")
    Directions(LAYER, torch.eye(3, 5)).save(tmp_path / "wide.safetensors")
    out = f"--size 64 --out {tmp_path / 'out'}"
    for options, says in (
        (f"--directions {tmp_path}/none.safetensors", "none.safetensors"),
        (f"--directions {tmp_path}/other.safetensors", "other.safetensors: these are directions of timm:other"),
        (f"--directions {tmp_path}/unknown.safetensors", "unknown.safetensors: no layer 'features.9'"),
        (f"--directions {tmp_path}/wide.safetensors", "directions of 5 channels"),
        (f"--directions {file} --latents 6", "channel 6 is out of range"),
        (f"--directions {file} --latents 1 --channels 1", "latents and channels are both given"),
        (f"--directions {file} --layer {LAYER}", f"leave out layer, or name that of the directions, {ADDRESS}"),
        (f"--directions {file} --objective logit", "leave out directions"),
        ("--latents 3", "latents is given but no directions"),
        ("--objective direction", "set directions to its file"),
    ):
        assert main(f"gallery {options} {out}".split()) == 2
        said = capsys.readouterr().err.strip()
        assert "\n" not in said
        assert says in said
    with pytest.raises(BadInput, match="expected latent:FILE:LATENT"):
        Target.parse("latent:sae.safetensors")


def test_a_latent_that_is_off_on_noise_depends_on_its_layer() -> None:
    """The default layer of a heat map is found on a picture of noise, where few latents are active."""
    from recipes.attribution.scoring.layers import last_map_layer
    from tests.recipes.attribution.conftest import TinyTransformer

    model = load_model(TinyTransformer(), input_size=16)
    layer = "blocks.1"
    width = model.shapes([layer])[layer][1]
    off = Directions(layer, torch.eye(2, width), encoder_bias=torch.full((2,), -1e3), gate="relu")
    known = model.with_directions({"off": off})
    size = known.input_size
    assert last_map_layer(known, channel(f"{layer}:off", 0), size) == last_map_layer(known, channel(layer, 0), size)
