"""`inverter explain`: its files for pictures, targets and methods, and errors."""

import json
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inverter import Model, evaluate
from objectives import logit
from recipes import Explain
from recipes.attribution import explain
from recipes.cli.entry import main
from recipes.cli.recipe_file import kind, load_recipe
from recipes.outputs.rendering.colormap import overlay, plain
from recipes.pictures.reading import fit, read_picture
from recipes.runner.report import Report

Run = Callable[..., Report]


@pytest.fixture
def run(insects: Model, photos: Path, tmp_path: Path) -> Run:
    def made(**options: Any) -> Report:
        return Explain(model=insects, **({"image": str(photos), "out": str(tmp_path / "out")} | options)).run()

    return made


def test_each_picture_target_and_method_has_an_overlay_a_map_and_its_numbers(run: Run, insects: Model) -> None:
    report = run(target=["logit:3", "channel:mix:2"], method=["grad-cam", "saliency"])
    files = list(report.manifest.units)
    assert files == [
        "originals/a.png",
        "originals/b.png",
        *(
            f"images/{target}/{method}/{name}.png"
            for target in ("logit_3", "channel_mix_2")
            for method in ("grad-cam", "saliency")
            for name in "ab"
        ),
    ]
    pictures = torch.stack([read_picture(report.out / f"originals/{name}.png") for name in "ab"])
    for name, picture in zip("ab", pictures, strict=True):
        stem = report.out / f"images/logit_3/saliency/{name}"
        heat = torch.from_numpy(np.load(stem.with_suffix(".npy")))
        # The pictures on disk have 8 bits a channel, the explained ones have more.
        (expected,) = explain(insects, picture[None], logit(3), "saliency")
        assert torch.corrcoef(torch.stack([heat.flatten(), expected.flatten()]))[0, 1] > 0.98
        for path, drawn in (
            (stem.with_suffix(".png"), overlay(picture, heat, False)),
            (stem.with_name(f"{name}-map.png"), plain(heat, False)),
        ):
            assert (read_picture(path) - drawn).abs().max() <= 1.01 / 255 + 1e-3


def test_the_manifest_records_targets_methods_and_results(run: Run, insects: Model) -> None:
    report = run(target=["logit:dog", "channel:mix:2"])
    unit = report.manifest.units["images/logit_3/grad-cam/a.png"]
    assert (unit.layer, unit.channel, unit.objective, unit.name, unit.image) == ("output", 3, "logit", "dog", "a")
    metrics = unit.metrics
    assert (metrics["method"], metrics["target"], metrics["at"]) == ("grad-cam", "logit:3", "relu#1")
    assert metrics["signed"] is False
    picture = read_picture(report.out / "originals/a.png")[None]
    assert metrics["value"] == pytest.approx(float(evaluate(insects, logit(3), picture)), abs=0.01)
    heat = np.load(report.out / unit.extra_files["array"])
    assert (metrics["lowest"], metrics["highest"]) == (pytest.approx(heat.min()), pytest.approx(heat.max()))
    assert heat.dtype == np.float32
    assert heat.shape == (16, 16)
    inner = report.manifest.units["images/channel_mix_2/grad-cam/a.png"]
    assert (inner.layer, inner.channel, inner.name, inner.metrics["at"]) == ("mix", 2, None, "mix")
    original = report.manifest.units["originals/a.png"]
    assert len(original.metrics["top5"]) == 5
    assert original.metrics["source"] == "a.png"


def test_top_is_each_pictures_own_class(run: Run, insects: Model, photos: Path) -> None:
    report = run()
    for name in "ab":
        picture = fit(read_picture(photos / f"{name}.png"), (16, 16))[None]
        with torch.no_grad():
            strongest = int(insects.module(insects.normalize(picture)).argmax())
        unit = report.manifest.units[f"images/logit_top/grad-cam/{name}.png"]
        assert unit.channel == strongest
        assert unit.name == insects.categories[strongest]
        assert unit.metrics["target"] == "logit:top"


def test_a_map_that_keeps_its_sign_is_drawn_with_it(run: Run) -> None:
    report = run(target="logit:3", method=["grad-cam:relu=false", "cam"])
    for folder in ("grad-cam_relu=false", "cam"):
        unit = report.manifest.units[f"images/logit_3/{folder}/a.png"]
        metrics = unit.metrics
        assert metrics["lowest"] < 0
        assert metrics["signed"] is True
    top, left, bottom, right = metrics["box"]
    heat = np.load(report.out / unit.extra_files["array"])
    place = np.unravel_index(heat.argmax(), heat.shape)
    assert 0 <= top < bottom <= 16
    assert 0 <= left < right <= 16
    assert heat[place] == pytest.approx(metrics["highest"])


def test_several_layers_are_several_maps_of_the_methods_that_need_one(run: Run) -> None:
    report = run(target="logit:3", method=["grad-cam", "saliency", "cam"], layer=["stem", "mix"])
    names = {Path(file).parent.name for file in report.manifest.units}
    assert names == {"originals", "grad-cam@stem", "grad-cam@mix", "saliency", "cam"}


def test_boxes_by_mode(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    boxes = {}
    for mode in ("auto", "threshold", "graph-cut", "none"):
        report = run(target="logit:3", method=["grad-cam", "saliency"], box=mode, out=str(tmp_path / mode))
        made = [report.manifest.units[f"images/logit_3/{method}/a.png"].metrics for method in ("grad-cam", "saliency")]
        boxes[mode] = [metrics.get("box") for metrics in made]
    assert boxes["none"] == [None, None]
    assert boxes["auto"] == [boxes["threshold"][0], None]
    assert None not in boxes["threshold"] + boxes["graph-cut"]
    assert boxes["graph-cut"] != boxes["threshold"]
    with pytest.raises(ValueError, match="unknown box 'cut'"):
        run(box="cut")


def test_an_interrupted_run_resumes_and_ends_the_same(run: Run, tmp_path: Path) -> None:
    options = {"target": ["logit:3", "logit:top"], "method": ["grad-cam", "saliency"], "batch_size": 1}
    full = run(out=str(tmp_path / "full"), **options)
    first = run(**options)
    manifest = json.loads((first.out / "manifest.json").read_text())
    manifest["units"] = manifest["units"][:4]
    (first.out / "manifest.json").write_text(json.dumps(manifest))
    again = run(**options)
    assert again.made == full.made - sum(unit["objective"] != "original" for unit in manifest["units"])
    for file in full.out.rglob("*.[pn]*"):
        assert file.read_bytes() == (again.out / file.relative_to(full.out)).read_bytes(), file
    assert run(**options).made == 0


def test_the_box_mode_is_text_on_the_command_line_and_in_toml(tmp_path: Path) -> None:
    (box,) = (field for field in fields(Explain) if field.name == "box")
    assert kind(box) is str
    assert box.metadata["choices"] == ("auto", "threshold", "graph-cut", "none")
    file = tmp_path / "explain.toml"
    file.write_text('recipe = "explain"\nimage = "photo.png"\nbox = "graph-cut"\n')
    assert load_recipe(file).box == "graph-cut"  # type: ignore[attr-defined]
    file.write_text('recipe = "explain"\nimage = "photo.png"\nbox = 3\n')
    with pytest.raises(ValueError, match="box must be text, got 3"):
        load_recipe(file)


def test_two_spellings_of_equal_options_are_the_same_run(run: Run) -> None:
    run(target="logit:3", method="grad-cam")
    assert run(target=["logit: 3", "logit:3"], method=["grad-cam"]).made == 0
    with pytest.raises(ValueError, match="method is"):
        run(target="logit:3", method="saliency")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": ()}, r"image: got \(\); expected a picture, a folder"),
        ({"image": "nowhere.png"}, "no picture or folder 'nowhere.png'"),
        ({"target": ()}, "target: got"),
        ({"target": "logit:9"}, "9 is out of range"),
        ({"target": "channel:mix:99"}, "channel 99 is out of range: layer 'mix' has 8"),
        ({"target": "neuron:mix:1:99,0"}, "y=99 is out of range"),
        ({"method": "lime-light"}, "unknown method 'lime-light'"),
        ({"method": "grad-cam:relu=2"}, "relu must be of type bool"),
        ({"method": ["saliency", "smoothgrad:samples=0"]}, "samples of at least 1"),
        ({"method": "integrated-gradients:baseline=back"}, "unknown baseline 'back'; did you mean black"),
        ({"method": "saliency", "layer": "mix"}, "none of the methods takes a layer"),
        ({"layer": "head"}, "layer 'head' outputs"),
        ({"layer": "mux"}, "no layer 'mux'"),
        ({"target": "channel:stem:1", "layer": "mix"}, "does not depend on layer 'mix': choose one before it"),
    ],
)
def test_bad_input_is_reported_before_anything_is_written(
    options: dict[str, Any], message: str, run: Run, tmp_path: Path
) -> None:
    with pytest.raises((ValueError, LookupError, OSError), match=message) as caught:
        run(**options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_perception_visualization_is_an_extra_file(run: Run) -> None:
    report = run(target="logit:3", method=["spatial-attribution", "saliency"], layer="stem", perceive=20)
    unit = report.manifest.units["images/logit_3/spatial-attribution@stem/a.png"]
    heat = np.load(report.out / unit.extra_files["array"])
    perception = read_picture(report.out / unit.extra_files["perception"])
    dark = torch.from_numpy(heat <= 0)
    assert perception.shape == (3, 16, 16)
    assert perception.mean(0)[dark].mean() < 0.5 * perception.mean(0)[~dark].mean()
    shares = unit.metrics["channels"]
    assert 0 < len(shares) <= 8
    assert [abs(each["value"]) for each in shares] == sorted((abs(each["value"]) for each in shares), reverse=True)
    assert "perception" not in report.manifest.units["images/logit_3/saliency/a.png"].extra_files
    assert re.search(r'"views": ?\["perception"\]', (report.out / "index.html").read_text())
    with pytest.raises(ValueError, match="perceive must be an integer of at least 1, got 0"):
        run(perceive=0)


def test_from_the_command_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["explain", "--image", str(photos / "a.png"), "--target", "logit:fish", "--out", str(out)]
    assert main([*command, "--method", "grad-cam:relu=false", "--method", "saliency"]) == 0
    assert "2 pictures" in capsys.readouterr().out
    settings = json.loads((out / "manifest.json").read_text())["settings"]
    assert settings["method"] == ["grad-cam:relu=false", "saliency"]
    assert not {"steps", "learning_rate", "precision", "augment"} & set(settings)
    assert main([*command, "--method", "grad-kam"]) == 2
    assert "did you mean grad-cam" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--steps", "3"])


def test_grey_networks_explain_grey_pictures(photos: Path, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    grey = Model(net, normalize=((0.5,), (0.5,)), input_size=(16, 16))
    report = Explain(model=grey, image=str(photos), out=str(tmp_path / "out")).run()
    assert len(report.manifest.units) == 4
