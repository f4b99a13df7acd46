"""Pre-images of photographs through a trained network."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from inverter import Model
from recipes import Invert


def test_a_shallow_layer_of_squeezenet_keeps_almost_everything(
    squeezenet: Model, photographs: Tensor, tmp_path: Path
) -> None:
    picture = (photographs[3].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(picture).resize((96, 96)).save(tmp_path / "photo.png")
    recipe = Invert(
        model=squeezenet,
        image=str(tmp_path / "photo.png"),
        size=96,
        layer=["features.0", "features.4"],
        steps=120,
        out=str(tmp_path / "out"),
    )
    shallow, deeper = recipe.run().manifest.table
    assert shallow["relative_error"] < 0.05
    assert shallow["psnr"] > 30
    assert deeper["relative_error"] < 0.2
    assert deeper["psnr"] < shallow["psnr"]


def test_the_code_of_features_7_of_squeezenet_is_matched_and_the_photograph_recovered(
    squeezenet: Model, photographs: Tensor, tmp_path: Path
) -> None:
    """From the decoder's estimate, by L-BFGS first: Adam alone matches the code as well, at 3 dB less."""
    picture = (photographs[5].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(picture).save(tmp_path / "photo.png")
    recipe = Invert(
        model=squeezenet, image=str(tmp_path / "photo.png"), size=128, layer="features.7", out=str(tmp_path / "out")
    )
    (row,) = recipe.run().manifest.table
    assert row["prior"] == "fourier"
    assert row["relative_error"] < 0.1
    assert row["psnr"] > 19
