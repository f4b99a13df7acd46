"""`inverter inpaint`: restored pictures, their metrics, and what it refuses."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from inverter import no_network
from objectives import Activations
from recipes import Inpaint
from recipes.cli.entry import main
from recipes.executors.progress import RunProgress
from recipes.inpainting.inpaint import COPIED
from recipes.inpainting.masks import check_mask, depth, random_mask, scaled, scaled_mask
from recipes.options.priors import PriorChoice
from recipes.pictures.reading import read_picture
from recipes.runner.context import RunContext
from recipes.runner.report import Report
from recipes.runner.units import Problem


def save(path: Path, seed: int = 0, size: tuple[int, int] = (20, 16), mode: str = "RGB") -> Path:
    """A smooth picture of `size` (width, height) on disk."""
    small = np.random.default_rng(seed).integers(0, 255, (3, 3, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode).save(path)
    return path


def save_mask(path: Path, size: tuple[int, int] = (20, 16), hole: tuple[int, int, int, int] = (4, 4, 10, 8)) -> Path:
    """A white picture with a black hole (left, top, right, bottom)."""
    mask = Image.new("L", size, 255)
    mask.paste(0, hole)
    mask.save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save(tmp_path / "photos" / "a.png")


@pytest.fixture
def run(photo: Path, tmp_path: Path) -> Callable[..., Report]:
    known = {"image": str(photo), "steps": 3, "precision": "float32", "out": str(tmp_path / "out")}

    def inpaint(progress: Callable[[RunProgress], None] | None = None, **options: Any) -> Report:
        hidden = {} if "mask" in options else {"missing": 0.25}
        return Inpaint(**(known | hidden | options)).run(progress)  # type: ignore[arg-type]

    return inpaint


def pictures(out: Path) -> dict[str, np.ndarray]:
    found = {}
    for path in sorted(out.glob("*/**/*.png")):
        with Image.open(path) as picture:
            found[path.relative_to(out).as_posix()] = np.asarray(picture)
    return found


# ---- Masks ----


@given(st.integers(8, 40), st.integers(8, 40), st.floats(0.02, 0.98), st.integers(0, 2**60))
def test_a_random_mask_hides_just_its_share(height: int, width: int, missing: float, seed: int) -> None:
    mask = random_mask((height, width), missing, seed)
    assert mask.shape == (1, height, width)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert int((mask == 0).sum()) == round(missing * height * width)
    assert torch.equal(mask, random_mask((height, width), missing, seed))
    assert not torch.equal(mask, random_mask((height, width), missing, seed + 1))


@given(st.integers(0, 2**32), st.sampled_from([(8, 10), (13, 7), (16, 20), (40, 50)]))
def test_what_is_known_at_another_size_is_made_of_what_is_known(seed: int, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(1, 16, 20)
    top, left = torch.randint(0, 12, (2,), generator=generator).tolist()
    mask[:, top : top + 4, left : left + 6] = 0
    picture = torch.rand(3, 16, 20, generator=generator)
    spoilt = torch.where(mask == 0, torch.rand(picture.shape, generator=generator), picture)
    smaller = scaled_mask(mask, size)
    assert torch.allclose(scaled(picture, size) * smaller, scaled(spoilt, size) * smaller, atol=1e-3)
    assert bool((smaller == 0).any())


def test_a_mask_must_have_missing_and_known_pixels() -> None:
    for empty, says in ((torch.ones(1, 2, 2), "mask m masks no pixel"), (torch.zeros(1, 2, 2), "masks all pixels")):
        with pytest.raises(ValueError, match=says):
            check_mask(empty, "mask m")


@given(st.integers(1, 6), st.integers(1, 6))
def test_depth_is_the_distance_to_the_nearest_known_pixel(height: int, width: int) -> None:
    mask = torch.ones(1, 16, 18)
    mask[:, 5 : 5 + height, 7 : 7 + width] = 0
    mask[:, 0, 0] = 0
    assert depth(mask) == (min(height, width) + 1) // 2
    assert depth(torch.ones(1, 4, 4)) == 0


def test_areas_are_copied_from_their_surroundings_and_scattered_pixels_left_to_the_prior(
    run: Callable[..., Report], photo: Path
) -> None:
    save(photo.with_name("b.png"), 1)
    masks = [save_mask(photo.parent.parent / f"{i}.png", hole=(2, 2, 2 + i, 14)) for i in (8, 9)]
    recipe = Inpaint(image=str(photo.parent), mask=[str(mask) for mask in masks])
    context = RunContext(recipe, no_network("cpu"))
    few, many = recipe.units(context)[-2:]
    assert few.batch != many.batch
    guided = []
    for unit in (few, many):
        problem = recipe.problem(context, [unit])
        assert isinstance(problem, Problem)
        # An image that is wrong in the missing pixels alone: only an area has something to be compared with.
        picture, mask = recipe._read(context, str(unit.image))
        wrong = Activations({}, image=(picture * mask + 0.9 * (1 - mask))[None])
        guided.append(float(problem.objective.score(wrong)))
    assert guided[0] > -1e-8
    assert guided[1] < -1e-3 * COPIED


# ---- What it makes ----


def test_a_folder_of_three_pictures_for_each(run: Callable[..., Report], photo: Path) -> None:
    save(photo.with_name("b.png"), 1, size=(13, 24))
    report = run(image=str(photo.parent))
    folders = ("originals", "masked", "images")
    assert list(report.manifest.units) == [f"{folder}/{name}.png" for folder in folders for name in "ab"]
    found = pictures(report.out)
    assert set(found) == set(report.manifest.units)
    assert found["images/a.png"].shape == (16, 20, 3)
    assert found["images/b.png"].shape == (24, 13, 3)
    data = json.loads((report.out / "manifest.json").read_text())
    assert data["model"]["spec"] == "none"
    assert "model" not in data["settings"]
    assert (report.out / "index.html").is_file()


def test_known_pixels_stay_as_they_are_and_the_missing_are_made(run: Callable[..., Report], photo: Path) -> None:
    mask = save_mask(photo.parent.parent / "mask.png")
    found = pictures(run(mask=str(mask)).out)
    original, hole = np.asarray(Image.open(photo)), np.asarray(Image.open(mask)) == 0
    assert np.array_equal(found["originals/a.png"], original)
    assert np.array_equal(found["images/a.png"][~hole], original[~hole])
    assert np.array_equal(found["masked/a.png"], np.where(hole[..., None], 0, original))
    assert (found["images/a.png"][hole] != original[hole]).any()


def test_what_a_mask_hides_has_no_influence(run: Callable[..., Report], photo: Path, tmp_path: Path) -> None:
    mask = save_mask(tmp_path / "mask.png")
    intact = pictures(run(mask=str(mask)).out)["images/a.png"]
    with Image.open(photo) as picture:
        picture.paste((255, 0, 255), (4, 4, 10, 8))
        picture.save(photo)
    spoilt = run(mask=str(mask), out=str(tmp_path / "spoilt"), damaged=True)
    assert np.array_equal(pictures(spoilt.out)["images/a.png"], intact)
    assert {"psnr", "psnr_of_mean"}.isdisjoint(spoilt.manifest.units["images/a.png"].metrics)


def test_the_metrics_are_those_of_the_files(run: Callable[..., Report], photo: Path) -> None:
    report = run()
    metrics = report.manifest.units["images/a.png"].metrics
    original, masked, restored = (
        read_picture(report.out / folder / "a.png") for folder in ("originals", "masked", "images")
    )
    hole = (masked == 0).all(0) & (original != 0).any(0)
    assert float(hole.float().mean()) == metrics["missing"] == 0.25
    error = float((restored - original)[:, hole].square().mean())
    assert metrics["psnr"] == pytest.approx(-10 * math.log10(error), abs=1e-3)
    mean = original[:, ~hole].mean(1, keepdim=True)
    plain = float((mean - original[:, hole]).square().mean())
    assert metrics["psnr_of_mean"] == pytest.approx(-10 * math.log10(plain), abs=1e-3)
    assert (metrics["width"], metrics["height"]) == (20, 16)
    score = report.manifest.units["images/a.png"].score
    assert score is not None
    assert -1 < score < 0  # of what the network drew where it could be compared, before the known pixels were put back


def test_masks_are_one_for_all_or_one_for_each(run: Callable[..., Report], photo: Path, tmp_path: Path) -> None:
    save(photo.with_name("b.png"), 1)
    one, two = save_mask(tmp_path / "1.png"), save_mask(tmp_path / "2.png", hole=(0, 0, 4, 16))
    for name, masks, shares in (("x", [one], (24, 24)), ("y", [one, two], (24, 64))):
        report = run(image=str(photo.parent), mask=[str(mask) for mask in masks], out=str(tmp_path / name))
        fractions = [report.manifest.units[f"images/{name}.png"].metrics["missing"] for name in "ab"]
        assert fractions == pytest.approx([share / 320 for share in shares])


def test_a_picture_does_not_depend_on_its_batch(run: Callable[..., Report], photo: Path, tmp_path: Path) -> None:
    save(photo.with_name("b.png"), 1)
    one, two = (
        pictures(run(image=str(photo.parent), batch_size=size, out=str(tmp_path / str(size))).out) for size in (1, 2)
    )
    assert all(abs(one[file].astype(int) - two[file]).max() <= 1 for file in one)


def test_only_restored_pictures_are_counted(
    run: Callable[..., Report], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(photo.with_name("b.png"), 1)
    seen: list[RunProgress] = []
    report = run(seen.append, image=str(photo.parent))
    assert {update.units for update in seen} == {2}
    assert report.made == len(report.requested) == 2
    assert "2 pictures in" in repr(report)
    shares = [update.share for update in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    arguments = ["--image", str(photo), "--missing", "0.25", "--steps", "1", "--out", str(photo.with_name("out"))]
    assert main(["inpaint", *arguments]) == 0
    assert "1 picture in" in capsys.readouterr().out


def test_longest_side(run: Callable[..., Report]) -> None:
    assert pictures(run(size=10).out)["images/a.png"].shape == (8, 10, 3)


def test_an_interrupted_run_resumes(run: Callable[..., Report], photo: Path, tmp_path: Path) -> None:
    save(photo.with_name("b.png"), 1)
    folder = str(photo.parent)
    complete = pictures(run(image=folder, out=str(tmp_path / "complete")).out)

    def stop(update: RunProgress) -> None:
        if update.done > 1:  # at 1 its last step is done, but it is not written yet
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(stop, image=folder)
    assert "images/b.png" not in pictures(tmp_path / "out")
    assert run(image=folder).made == 1
    again = pictures(tmp_path / "out")
    assert all(np.array_equal(complete[file], again[file]) for file in complete)
    with pytest.raises(ValueError, match=r"its missing is 0\.25, not 0\.5"):
        run(image=folder, missing=0.5)


# ---- Bad input ----


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"image": ()}, r"image: got \(\); expected a picture, a folder of pictures"),
        ({"image": [3]}, r"image: got \[3\]; expected a picture"),
        ({"image": "nowhere.png"}, "no picture or folder 'nowhere.png'"),
        ({"missing": None}, "got neither mask nor missing"),
        ({"mask": "mask.png", "missing": 0.25}, "got both mask and missing"),
        ({"missing": 0.0}, r"above 0 and below 1, got 0\.0"),
        ({"missing": 1.0}, "above 0 and below 1"),
        ({"missing": 1e-6}, "masks no pixel"),
        ({"missing": 1 - 1e-6}, "masks all pixels"),
        ({"damaged": True}, "damaged describes the pixels under a mask"),
        ({"mask": "nowhere.png"}, "no picture or folder 'nowhere.png'"),
        ({"steps": 0}, "steps must be"),
        ({"size": 7}, r"a\.png: expected pictures of at least 8 pixels each way, got 7x6"),
        ({"precision": "half"}, "unknown precision"),
    ],
)
def test_invalid_options_are_errors_before_anything_is_written(
    run: Callable[..., Report], tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises((ValueError, OSError), match=says):
        run(**options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("size", "hole", "says"),
    [
        ((16, 20), (4, 4, 10, 8), "is of another size: 16x20 pixels, but its picture has 20x16"),
        ((20, 16), (0, 0, 0, 0), "masks no pixel; expected some missing (black) and some known (white) ones"),
        ((20, 16), (0, 0, 20, 16), "masks all pixels"),
        (None, None, "cannot be read as a picture"),
        ("two", None, "got 2 masks for 1 picture;"),
    ],
)
def test_the_command_line_says_what_is_wrong_with_a_mask_in_one_line(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: Any, hole: Any, says: str
) -> None:
    masks = [tmp_path / "mask.png"]
    if size is None:
        masks[0].write_bytes(b"no picture")
    elif size == "two":
        masks = [save_mask(tmp_path / f"{i}.png") for i in range(2)]
    else:
        save_mask(masks[0], size, hole)
    flags = [text for mask in masks for text in ("--mask", str(mask))]
    assert main(["inpaint", "--image", str(photo), *flags, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("inverter inpaint: ")
    assert says in line
    assert not (tmp_path / "out").exists()


def test_the_command_line_ends_with_the_psnr(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--image", str(photo), "--missing", "0.25", "--steps", "2", "--out", str(tmp_path / "out")]
    assert main(["inpaint", *arguments]) == 0
    said = capsys.readouterr().out
    assert "1 picture in" in said
    assert "PSNR of the missing pixels: " in said
    assert said.strip().endswith("index.html")


def test_its_help_has_no_options_of_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inpaint", "--help"])
    said = capsys.readouterr().out
    assert "white where the picture is known" in " ".join(said.split())
    for flag in ("--model", "--weights", "--normalize", "--augment"):
        assert flag not in said


# ---- Truth ----


def test_a_photograph_without_a_quarter_of_its_pixels_is_restored(photographs: Tensor, tmp_path: Path) -> None:
    # Class 875, a trombone: of the 16, the middle one in how well its missing pixels follow from their neighbours.
    picture = (photographs[14].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(picture).save(tmp_path / "photo.png")
    report = Inpaint(image=str(tmp_path / "photo.png"), missing=0.25, steps=128, out=str(tmp_path / "out")).run()
    metrics = report.manifest.units["images/photo.png"].metrics
    assert metrics["missing"] == 0.25
    assert metrics["psnr_of_mean"] < 16
    assert metrics["psnr"] >= 25


def test_an_area_of_a_photograph_has_the_contrast_of_what_surrounds_it(photographs: Tensor, tmp_path: Path) -> None:
    area, around = slice(48, 80), slice(32, 96)
    save_mask(tmp_path / "mask.png", (128, 128), hole=(48, 48, 80, 80))
    for index in (3, 11):
        photo = tmp_path / f"{index}.png"
        Image.fromarray((photographs[index] * 255).byte().permute(1, 2, 0).numpy()).save(photo)
        report = Inpaint(
            image=str(photo), mask=str(tmp_path / "mask.png"), steps=10, out=str(tmp_path / str(index))
        ).run()
        (restored,) = report.requested
        grey = read_picture(str(report.out / restored.file)).mean(0)
        inside, outside = (float(part.diff(dim=1).abs().mean()) for part in (grey[area, area], grey[around, around]))
        assert inside > 0.4 * outside


def test_another_prior_fills_the_hole_with_what_it_draws(tmp_path: Path) -> None:
    source = tmp_path / "decoder.py"
    source.write_text(
        "import torch\nfrom torch import nn\n\ndef make():\n    torch.manual_seed(0)\n"
        "    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.Upsample(scale_factor=4, mode='bilinear'), nn.Sigmoid())\n"
    )
    photo = tmp_path / "photo.png"
    Image.new("RGB", (20, 16), (180, 90, 70)).save(photo)
    save_mask(tmp_path / "mask.png")
    prior = f"decoder:decoder={source}:make,bfloat16=false"
    recipe = Inpaint(
        image=str(photo), mask=str(tmp_path / "mask.png"), prior=prior, steps=60, out=str(tmp_path / "out")
    )
    (restored,) = recipe.run(None).requested
    assert restored.prior == str(PriorChoice.parse(prior))
    assert restored.metrics["psnr"] > 15  # mid-grey would be at 14.2 dB
