"""A dream that is held to what photographs do."""

from pathlib import Path

from inverter import Model
from inverter.scoring import evaluate
from objectives import natural
from recipes import DeepDream
from recipes.pictures.reading import read_picture
from recipes.statistics.feature_measuring import measure_features


def test_by_default_a_trained_networks_dream_comes_much_nearer_to_photographs(
    squeezenet: Model, shared_data: Path, tmp_path: Path
) -> None:
    some = [str(file) for file in sorted((shared_data / "images" / "imagenet").glob("*.jpg"))[::25]]
    layers = ["features.3", "features.5", "features.7", "features.9"]
    statistics, _ = measure_features(squeezenet, some, layers, tmp_path / "work")
    distances = []
    for held in (None, statistics):
        out = tmp_path / f"{held is None}.png"
        DeepDream(
            model=squeezenet, image=some[3], layer="features.9", size=96, octaves=1, natural=held, out=str(out),
            precision="float32",
        ).run()  # fmt: skip
        picture = read_picture(str(out))[None]
        distances.append(-float(evaluate(squeezenet, natural(None, statistics), picture)))
    assert distances[1] < 0.2 * distances[0]
