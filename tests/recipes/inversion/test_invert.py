"""`inverter invert`: pre-images of photographs and codes, their metrics, and what it refuses."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import Model, encode, load_model
from inverter.codes import stride
from objectives import codes
from recipes import Invert
from recipes.cli.entry import main
from recipes.inversion.invert import DISTANCES, STARTS
from recipes.inversion.schedules import APPROACHES, best
from recipes.options.priors import NAMES
from recipes.outputs.manifest import Manifest
from recipes.pictures.reading import fit, read_picture
from recipes.runner.report import Report


def save(path: Path, seed: int = 0, size: tuple[int, int] = (20, 16), mode: str = "RGB", **more: Any) -> Path:
    """A smooth picture of `size` (width, height) on disk."""
    small = np.random.default_rng(seed).integers(0, 255, (3, 3, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode).save(path, **more)
    return path


@pytest.fixture
def model(tiny_net: nn.Module) -> Model:
    return load_model(tiny_net, input_size=12)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b")):
        save(tmp_path / "photos" / f"{name}.png", seed)
    return tmp_path / "photos"


@pytest.fixture
def run(model: Model, photos: Path, tmp_path: Path) -> Callable[..., Report]:
    known = {"image": str(photos), "layer": "body", "prior": "pixels", "steps": 3, "precision": "float32"}
    known |= {"out": str(tmp_path / "out")}

    def invert(**options: Any) -> Report:
        return Invert(model=model, **(known | options)).run()  # type: ignore[arg-type]

    return invert


def pictures(out: Path) -> dict[str, np.ndarray]:
    found = {}
    for path in sorted(out.glob("*/**/*.png")):
        with Image.open(path) as picture:
            found[path.relative_to(out).as_posix()] = np.asarray(picture)
    return found


def test_originals_come_first_then_layers_priors_pictures_and_attempts(run: Callable[..., Report]) -> None:
    report = run(layer=["stem", "output"], prior=["pixels", "fourier"], attempts=2)
    files = list(report.manifest.units)
    assert files[:2] == ["originals/a.png", "originals/b.png"]
    assert files[2:7] == [
        f"images/stem/{name}.png" for name in ("a-pixels", "a-pixels-1", "b-pixels", "b-pixels-1")
    ] + ["images/stem/a-fourier.png"]
    assert len(files) == 2 + 2 * 2 * 2 * 2
    assert set(pictures(report.out)) == set(files)
    one, two = (report.manifest.units[f"images/stem/a-pixels{tail}.png"] for tail in ("", "-1"))
    assert (one.layer, one.prior, one.image, one.attempt, one.channel, one.steps) == ("stem", "pixels", "a", 0, None, 3)
    assert two.attempt == 1
    assert not np.array_equal(*(pictures(report.out)[unit.file] for unit in (one, two)))


def test_the_original_is_kept_at_the_networks_input_size(run: Callable[..., Report], photos: Path) -> None:
    kept = read_picture(run().out / "originals" / "a.png")
    assert (kept - fit(read_picture(photos / "a.png"), (12, 12))).abs().max() <= 0.5 / 255 + 1e-6


def test_the_metrics_are_those_of_the_files(run: Callable[..., Report], model: Model) -> None:
    report = run(distance="l1", layer=["body", "output"])
    for layer, address in (("body", "body"), ("output", "")):
        target = encode(model, torch.stack([read_picture(report.out / f"originals/{n}.png") for n in "ab"]), address)
        made = torch.stack([read_picture(report.out / f"images/{layer}/{n}-pixels.png") for n in "ab"])
        phi, phi0 = encode(model, made, address)[address].flatten(1), target[address].flatten(1)
        for i, name in enumerate("ab"):
            metrics = report.manifest.units[f"images/{layer}/{name}-pixels.png"].metrics
            off = float((phi[i] - phi0[i]).norm())
            # The target was the code of the picture before it was rounded to 8 bits.
            assert metrics["relative_error"] == pytest.approx(off / float(phi0[i].norm()), rel=0.05, abs=2e-3)
            assert metrics["normalized_error"] == pytest.approx(off / float((phi0[0] - phi0[1]).norm()), rel=0.1)
            original = read_picture(report.out / f"originals/{name}.png")
            noise = float((made[i] - original).square().mean())
            assert metrics["psnr"] == pytest.approx(-10 * math.log10(noise), abs=0.05)
            assert -1 <= metrics["ssim"] <= 1
            assert len(metrics["top5"]) == 5
            assert isinstance(metrics["same_class"], bool)


def test_the_table_is_the_mean_of_the_pictures(run: Callable[..., Report], tmp_path: Path) -> None:
    report = run(layer=["stem", "body"], attempts=2)
    assert [(row["layer"], row["prior"], row["pictures"]) for row in report.manifest.table] == [
        ("stem", "pixels", 4),
        ("body", "pixels", 4),
    ]
    for row in report.manifest.table:
        members = [unit for unit in report.manifest.units.values() if unit.layer == row["layer"]]
        for name in ("relative_error", "normalized_error", "psnr", "ssim", "same_class"):
            assert row[name] == pytest.approx(sum(unit.metrics[name] for unit in members) / 4)
        assert row["steps"] == 3
    data = json.loads((report.out / "manifest.json").read_text())
    assert data["table"] == report.manifest.table
    assert "judge_recognises" not in data["table"][0]


def test_one_picture_alone_has_no_normalised_error(run: Callable[..., Report], photos: Path) -> None:
    report = run(image=str(photos / "a.png"))
    assert "normalized_error" not in report.manifest.table[0]


def test_the_same_run_again_makes_no_picture_and_a_lost_one_is_made_again(run: Callable[..., Report]) -> None:
    first = run(attempts=2)
    before = pictures(first.out)
    again = run(attempts=2)
    assert again.made == 0
    assert again.manifest.units == first.manifest.units
    (first.out / "images/body/b-pixels-1.png").unlink()
    (first.out / "originals/a.png").unlink()
    assert run(attempts=2).made == 2  # both attempts of a batch; originals are no pictures that the run makes
    after = pictures(first.out)
    assert before.keys() == after.keys()
    assert all(abs(before[file].astype(int) - after[file]).max() <= 1 for file in before)


@pytest.mark.parametrize("prior", ["pixels", "fourier", "pyramid"])
def test_it_starts_from_the_decoder_unless_start_is_noise(
    run: Callable[..., Report], tmp_path: Path, prior: str
) -> None:
    """After one small step, the pictures of the decoder's start are nearer to the original than those of grey noise."""
    known = {"layer": "stem", "prior": prior, "steps": 1, "learning_rate": 1e-6, "augment": "light"}
    starts = ("decoder", "noise")
    found = {start: run(start=start, out=str(tmp_path / start), **known).manifest.table[0] for start in starts}
    assert found["decoder"]["psnr"] > found["noise"]["psnr"] + 1


def test_attempts_differ_and_so_do_seeds(run: Callable[..., Report], tmp_path: Path) -> None:
    run(attempts=2, prior="fourier:spread=.5", out=str(tmp_path / "one"))
    run(attempts=2, prior="fourier:spread=.5", out=str(tmp_path / "again"))
    run(attempts=2, prior="fourier:spread=.5", seed=1, out=str(tmp_path / "other"))
    one, again, other = (pictures(tmp_path / name / "images") for name in ("one", "again", "other"))
    assert len(one) == 4
    names = sorted(one)
    assert all(np.array_equal(one[name], again[name]) for name in names)
    assert not any(np.array_equal(one[name], other[name]) for name in names)
    assert len({picture.tobytes() for picture in one.values()}) == 4


def test_priors_and_codes_without_a_decoder_start_from_noise(run: Callable[..., Report], tmp_path: Path) -> None:
    for name, options in {"prior": {"prior": "maco"}, "vector": {"layer": "output"}}.items():
        for start in STARTS:
            run(start=start, out=str(tmp_path / name / start), **options)
        decoder, noise = (pictures(tmp_path / name / start) for start in ("decoder", "noise"))
        assert decoder.keys() == noise.keys()
        assert all(np.array_equal(decoder[file], noise[file]) for file in decoder)


def test_a_picture_does_not_depend_on_its_batch(run: Callable[..., Report], tmp_path: Path) -> None:
    together = pictures(run(out=str(tmp_path / "x")).out)
    alone = pictures(run(batch_size=1, out=str(tmp_path / "y")).out)
    assert all(abs(together[file].astype(int) - alone[file]).max() <= 1 for file in together)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_pictures_of_every_mode(run: Callable[..., Report], tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    report = run(image=str(save(tmp_path / f"{mode}.{suffix}", 3, (31, 9), mode)), steps=1)
    assert report.manifest.units[f"images/body/{mode}-pixels.png"].status == "ok"
    assert pictures(report.out)[f"originals/{mode}.png"].shape == (12, 12, 3)


def test_a_photograph_is_turned_as_its_exif_says(run: Callable[..., Report], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    turned = save(tmp_path / "turned.png", 4, (24, 12), exif=exif)
    plain = tmp_path / "plain.png"
    with Image.open(turned) as picture:
        picture.transpose(Image.Transpose.ROTATE_270).save(plain)
    found = pictures(run(image=[str(turned), str(plain)], steps=1).out)
    assert np.array_equal(found["originals/turned.png"], found["originals/plain.png"])


def test_pictures_of_one_name_get_different_files(run: Callable[..., Report], photos: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "elsewhere" / "a.png", 7)
    files = list(run(image=[str(photos), str(other), str(photos / "a.png")], steps=1).manifest.units)
    assert files[:3] == ["originals/a.png", "originals/b.png", "originals/a-2.png"]
    assert len(files) == 6


def test_a_code_alone_is_inverted_as_its_picture_is(
    run: Callable[..., Report], model: Model, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "code.safetensors"
    originals = torch.stack([fit(read_picture(photos / f"{name}.png"), (12, 12)) for name in "ab"])
    encode(model, originals, ["body", ""], path)
    report = run(image=(), code=str(path), layer="all", out=str(tmp_path / "from-code"))
    assert list(report.manifest.units) == [
        f"images/{layer}/code-000{i}-pixels.png" for layer in ("body", "output") for i in range(2)
    ]
    (row, _) = report.manifest.table
    assert {"psnr", "ssim", "same_class"}.isdisjoint(row)
    from_pictures = run()
    made, known = (
        r.manifest.units[f"images/body/{name}-pixels.png"].metrics
        for r, name in ((report, "code-0001"), (from_pictures, "b"))
    )
    for name in ("relative_error", "normalized_error"):  # only the initial noise differs
        assert made[name] == pytest.approx(known[name], rel=0.05)


def test_a_judge_classifies_the_pictures(run: Callable[..., Report]) -> None:
    report = run(judge="builtin", steps=1)
    for unit in report.manifest.units.values():
        assert len(unit.metrics["judge_top5"]) == 5
        assert unit.metrics["judge_top5"][0]["probability"] >= unit.metrics["judge_top5"][4]["probability"]
    (row,) = report.manifest.table
    assert 0 <= row["judge_recognises"] <= 1


def test_a_network_without_classes_has_no_predictions(photos: Path, tmp_path: Path) -> None:
    model = load_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), input_size=12)
    report = Invert(model=model, image=str(photos), layer="0", steps=1, out=str(tmp_path / "out")).run()
    assert "top5" not in report.manifest.units["originals/a.png"].metrics


def test_the_distances_are_those_of_the_objectives() -> None:
    assert DISTANCES == codes.DISTANCES


def test_auto_is_a_prior_of_the_table_at_every_depth(run: Callable[..., Report]) -> None:
    assert set(APPROACHES) <= set(NAMES)
    assert {best(depth) for depth in (1, 2, 4, 8, 16, 32, 224)} <= set(APPROACHES)
    report = run(prior=["auto", best(stride((1, 8, 12, 12), (12, 12)))], steps=None)
    (row,) = report.manifest.table
    assert row["steps"] == sum(stage["steps"] for stage in APPROACHES[row["prior"]].stages(1.0))


def test_steps_and_learning_rate_of_the_user_take_precedence(run: Callable[..., Report]) -> None:
    gentle = run(learning_rate=1e-6, steps=7, start="noise")
    assert {unit.steps for unit in gentle.manifest.units.values()} == {0, 7}
    spread = max(picture.std() for file, picture in pictures(gentle.out).items() if file.startswith("images"))
    assert spread < 10  # it has hardly moved from grey


def test_a_manifest_survives_its_file(run: Callable[..., Report]) -> None:
    report = run()
    loaded = Manifest.load(report.out / "manifest.json")
    assert loaded.units == report.manifest.units


# ---- Bad input ----


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"image": ()}, "got neither image nor code"),
        ({"code": "x.safetensors"}, "got both image and code"),
        ({"prior": "nonsense"}, "unknown prior 'nonsense'; expected one of fourier, pixels"),
        ({"prior": ()}, "prior: got none"),
        ({"distance": "l3"}, "unknown distance 'l3'"),
        ({"objective": "portrait"}, "unknown objective 'portrait'; expected one of code, caricature"),
        ({"objective": "caricature", "distance": "l1"}, "a caricature has no distance"),
        ({"objective": "caricature", "prior": "learned"}, "a caricature has no distance, and no inverter draws it"),
        ({"start": "photo"}, "unknown start 'photo'; expected one of learned, decoder, noise"),
        ({"layer": ()}, "layer: got none"),
        ({"layer": [3]}, "layer: expected text"),
        ({"attempts": 0}, "attempts must be"),
        ({"attempts": True}, "attempts must be"),
        ({"judge_weights": "w.pt"}, "is given but no judge: set judge to a network"),
        ({"image": "nowhere.png"}, "no picture or folder 'nowhere.png'"),
        ({"steps": 0}, "steps must be"),
        ({"layer": "bodi"}, "nearest are: body"),
    ],
)
def test_invalid_options_are_errors_before_anything_is_written(
    run: Callable[..., Report], tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises((ValueError, LookupError, OSError), match=says):
        run(**options)
    assert not list(tmp_path.glob("out/images/*"))


def test_a_picture_that_cannot_be_read_is_named(run: Callable[..., Report], photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes((photos / "a.png").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"broken\.png cannot be read as a picture"):
        run(image=str(photos / "broken.png"))
    (tmp_path / "damaged").mkdir()
    (photos / "broken.png").rename(tmp_path / "damaged" / "broken.png")
    with pytest.raises(ValueError, match=r"none of the 1 picture can be read; .*broken\.png"):
        run(image=str(tmp_path / "damaged"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"there is no picture in '.*empty'"):
        run(image=str(tmp_path / "empty"))
    assert not (tmp_path / "out").exists()


def test_a_code_that_does_not_fit_is_an_error(run: Callable[..., Report], model: Model, tmp_path: Path) -> None:
    path = str(tmp_path / "code.safetensors")
    picture = torch.rand(1, 3, 12, 12)
    encode(model, picture, ["body", ""], path)
    with pytest.raises(LookupError, match=r"holds no code of layer 'stem'; it has body, output"):
        run(image=(), code=path, layer="stem")
    with pytest.raises(ValueError, match="size 16: the code is of pictures of 12x12"):
        run(image=(), code=path, size=16)
    other = load_model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_size=12)
    encode(other, picture, "0", path)
    with pytest.raises(ValueError, match="the code was made by module with weights"):
        run(image=(), code=path)
    from inverter.codes import Code, save_code

    save_code(Path(path), Code({"body": torch.ones(1, 8, 9, 12)}, "module", model.sha256, (12, 12)))
    with pytest.raises(
        ValueError, match=r"the code of layer 'body' has shape \(8, 9, 12\), but module outputs \(8, 12"
    ):
        run(image=(), code=path)
    assert not (tmp_path / "out").exists()


def test_pre_images_of_a_network_for_grey_pictures_are_grey(photos: Path, tmp_path: Path) -> None:
    model = load_model(nn.Conv2d(1, 4, 3), normalize=((0.5,), (0.5,)), input_size=12)
    report = Invert(model=model, image=str(photos), layer="output", steps=4, out=str(tmp_path / "out")).run(None)
    assert {image.mode for image in report.images} == {"L"}


def test_a_judge_without_classes_is_refused(run: Callable[..., Report], tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_text("from torch import nn\n\ndef make():\n    return nn.Conv2d(3, 4, 3)\n")
    with pytest.raises(ValueError, match="outputs no vector of classes"):
        run(judge=f"{source}:make")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--layer", "features.stem"], "got neither"),
        (["--image", "nowhere"], "no picture or folder 'nowhere'"),
        (["--code", "nowhere.safetensors"], "no code file"),
        (["--image", "BROKEN"], "cannot be read as a picture"),
        (["--image", "PHOTO", "--prior", "x"], "unknown prior 'x'"),
        (["--image", "PHOTO", "--layer", "features.stm"], "features.stem"),
        (["--image", "PHOTO", "--judge", "nobody"], "unknown model 'nobody'"),
        (["--code", "BROKEN"], "damaged"),
    ],
)
def test_the_command_line_says_so_in_one_line(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    places = {"PHOTO": str(save(tmp_path / "photo.png")), "BROKEN": str(tmp_path / "broken.png")}
    arguments = [places.get(text, text) for text in arguments]
    assert main(["invert", *arguments, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("inverter invert: ")
    assert says in line
    assert not (tmp_path / "out").exists()


def test_the_command_line_ends_with_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = save(tmp_path / "photo.png", size=(40, 30))
    arguments = ["--image", str(photo), "--layer", "features.stem", "--steps", "2", "--size", "32"]
    assert main(["invert", *arguments, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 picture in" in said
    assert "relative error" in said
    assert "features.stem" in said
    assert said.strip().endswith("index.html")
