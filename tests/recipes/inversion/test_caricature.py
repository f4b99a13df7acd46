"""`inverter invert --objective caricature`: a code, exaggerated."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from inverter import Model, encode, load_model
from recipes import Invert
from recipes.pictures.reading import read_picture
from tests.recipes.inversion.test_invert import save


def test_a_caricature_is_a_unit_of_its_own_kind(tiny_net: nn.Module, tmp_path: Path) -> None:
    photo = save(tmp_path / "photo.png")
    model = load_model(tiny_net, input_size=12)
    recipe = Invert(
        model=model, image=str(photo), layer="body", objective="caricature", precision="float32",
        out=str(tmp_path / "out"),
    )  # fmt: skip
    report = recipe.run()
    made = [record for record in report.manifest.units.values() if record.objective != "original"]
    assert {(record.objective, record.prior, record.steps) for record in made} == {("caricature", "fourier", 40)}
    assert report.manifest.settings["augment"] == "light"
    assert "Caricatures of layer codes" in (tmp_path / "out" / "index.html").read_text()
    assert recipe.run().made == 0


@pytest.mark.parametrize("layer", ["features.9"])
def test_a_caricature_has_more_of_what_its_own_photograph_has(
    squeezenet: Model, photographs: Tensor, shared_data: Path, tmp_path: Path, layer: str
) -> None:
    files = sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::25][:2]
    report = Invert(
        model=squeezenet, image=list(map(str, files)), layer=layer, objective="caricature", size=128,
        precision="float32", out=str(tmp_path),
    ).run()  # fmt: skip
    made = [record for record in report.manifest.units.values() if record.objective == "caricature"]
    assert all(record.score is not None and record.score > 1.2 for record in made)  # the photograph itself scores 1
    pictures = torch.stack([read_picture(str(tmp_path / record.file)) for record in made])
    codes = encode(squeezenet, torch.cat([pictures, photographs]), layer)[layer].flatten(1)
    alike = torch.cosine_similarity(codes[:2, None], codes[None, 2:], dim=2)
    assert alike.argmax(1).tolist() == [0, 1]
