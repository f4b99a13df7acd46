"""`inverter microscope`: complete and partial sites of a tiny network, resumed, grown, and refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from inverter import Model
from inverter_errors import InverterError
from recipes import Microscope
from recipes.executors.progress import RunProgress
from recipes.microscope.folders import read_runs
from recipes.microscope.site import build_site
from recipes.outputs.manifest import Manifest

QUICK: dict[str, Any] = {"layers": ["stem", "body"], "steps": 1, "device": "cpu", "atlas": "none"}


@pytest.fixture
def many(tmp_path: Path) -> str:
    folder = tmp_path / "many"
    folder.mkdir()
    for seed in range(18):
        small = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((16, 16), Image.Resampling.BICUBIC).save(folder / f"{seed:02d}.png")
    return str(folder)


def page_data(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0]
    found: dict[str, Any] = json.loads(text)
    return found


def files(out: Path) -> dict[str, bytes]:
    """The site without its runs and times."""
    found = [path for path in out.rglob("*") if path.is_file() and path.suffix in (".webp", ".html")]
    pages = {str(path.relative_to(out)): path for path in found if "runs" not in path.parts}
    return {
        name: json.dumps(page_data(path)).encode() if path.suffix == ".html" else path.read_bytes()
        for name, path in pages.items()
    }


def test_a_site_has_all_that_is_known_of_each_unit(insects: Model, many: str, tmp_path: Path) -> None:
    out = tmp_path / "site"
    report = Microscope(model=insects, images=many, out=str(out), **QUICK).run(progress=None)
    assert report.page == out / "index.html" and len(report.requested) == report.manifest.planned == 8 + 8 + 5
    assert {row["layer"]: row["patches"] for row in report.manifest.table} == {"stem": 8, "body": 8, "output": 5}
    data = page_data(out / "layers/body.html")
    unit = data["units"][3]
    assert unit["channel"] == 3 and len(unit["most"]) == 8 and len(unit["least"]) == 4
    assert unit["evidence"]["dataset_pictures"] == 18
    assert data["layers"][data["inputs"]]["name"] == "stem" and len(unit["feeds"]) == 8
    assert {place for place, _, _ in unit["across"]} <= {0, 2} and all(r >= 0.3 for *_, r in unit["across"])
    assert (out / "layers" / unit["source"]).resolve() == (out / "runs/gallery/body/images/body/0003.png").resolve()
    driven = page_data(out / "layers/stem.html")["units"][0]["drives"]
    assert all([0, weight] in [[c, w] for c, w in data["units"][target]["feeds"]] for _, target, weight in driven)
    assert [row[2] for row in page_data(out / "search.html")["units"][-5:]] == ["ant", "bee", "cat", "dog", "eel"]
    assert (out / "sprites/body/u0.webp").is_file() and (out / "sprites/body/p0.webp").is_file()
    assert "names of units" in page_data(out / "index.html")["leftOut"]


def test_where_a_path_is_not_linear_its_inputs_are_attributions_to_photographs(many: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    deep = [part for _ in range(4) for part in (nn.Conv2d(3, 3, 3, padding=1), nn.ReLU())]
    net = nn.Sequential(*deep, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    model, options = Model(net, input_size=(16, 16)), {"steps": 1, "device": "cpu", "atlas": "none"}
    Microscope(model=model, images=many, layers=["0", "0"], out=str(tmp_path / "site"), **options).run(progress=None)
    data = page_data(tmp_path / "site/layers/output.html")
    assert (
        data["layers"][0]["count"] == 3
        and data["method"] == "attribution"
        and any(unit.get("feeds") for unit in data["units"])
    )


def test_without_photographs_there_is_a_site_that_says_what_is_missing(insects: Model, tmp_path: Path) -> None:
    out = tmp_path / "site"
    Microscope(model=insects, out=str(out), channels="0-2", classes="none", **QUICK).run(progress=None)
    data = page_data(out / "index.html")
    assert [layer["name"] for layer in data["layers"]] == ["stem", "body"]
    assert {"top patches", "units alike", "class models"} <= set(data["leftOut"])
    unit = page_data(out / "layers/stem.html")["units"][0]
    assert "most" not in unit and unit["channel"] == 0


def test_a_stopped_run_leaves_a_site_and_the_same_call_completes_it(insects: Model, many: str, tmp_path: Path) -> None:
    def stop(update: RunProgress) -> None:
        if update.part and "pictures of body" in update.part and update.done:
            raise KeyboardInterrupt

    options = QUICK | {"model": insects, "images": many, "batch_size": 2, "classes": "dog,ant"}
    with pytest.raises(KeyboardInterrupt):
        Microscope(out=str(tmp_path / "one"), **options).run(progress=stop)
    left = page_data(tmp_path / "one/index.html")["layers"]
    assert left[0]["made"] == 8 and left[1]["made"] < 8
    assert Microscope(out=str(tmp_path / "one"), **options).run(progress=None).made > 0
    Microscope(out=str(tmp_path / "two"), **options).run(progress=None)
    assert _without_times(files(tmp_path / "one")) == _without_times(files(tmp_path / "two"))
    assert Microscope(out=str(tmp_path / "one"), **options).run(progress=None).made == 0


def _without_times(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data.replace(b"/one/", b"/two/") for name, data in found.items()}


def test_a_site_grows_and_is_rebuilt_from_its_folders_alone(insects: Model, tmp_path: Path) -> None:
    out, options = tmp_path / "site", QUICK | {"model": insects, "classes": "none"}
    Microscope(out=str(out), channels="0-1", **options).run(progress=None)
    assert Microscope(out=str(out), channels="0-3", **options).run(progress=None).made == 4
    before = files(out)
    for name in before:
        (out / name).unlink()
    build_site(out, Manifest.load(out / "manifest.json"), page_left_out(before))
    assert files(out) == before
    assert [layer.channels for layer in read_runs(out).layers] == [[0, 1, 2, 3]] * 2


def page_left_out(found: dict[str, bytes]) -> dict[str, str]:
    left: dict[str, str] = json.loads(found["index.html"])["leftOut"]
    return left


def test_a_part_that_this_network_does_not_allow_is_left_out(insects: Model, many: str, tmp_path: Path) -> None:
    options = QUICK | {"model": insects, "layers": "stem", "atlas": "head", "channels": "0", "classes": "none"}
    Microscope(images=many, out=str(tmp_path / "site"), **options).run(progress=None)
    assert "not a map" in page_data(tmp_path / "site/index.html")["leftOut"]["atlas of head"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"layers": "nowhere"}, "nowhere"),
        ({"layers": []}, "layers"),
        ({"channels": "0-99"}, "99"),
        ({"classes": "unicorn"}, "unicorn"),
        ({"images": "no/such/folder"}, "no/such/folder"),
        ({"vocabulary": ["a", "b"]}, "set images"),
        ({"text_model": "builtin"}, "set vocabulary"),
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seed"),
        ({"prior": "magic"}, "magic"),
        ({"atlas": "nowhere"}, "nowhere"),
        ({"size": "big"}, "size"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input_is_one_line_before_anything_is_written(
    options: dict[str, Any], said: str, insects: Model, tmp_path: Path
) -> None:
    with pytest.raises(InverterError, match=said) as error:
        Microscope(out=str(tmp_path / "site"), **{"model": insects, **QUICK, **options}).run(progress=None)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "site").exists()


def test_a_folder_with_other_settings_is_refused(insects: Model, tmp_path: Path) -> None:
    options = QUICK | {"model": insects, "channels": "0", "classes": "none", "out": str(tmp_path / "site")}
    Microscope(**options).run(progress=None)
    with pytest.raises(InverterError, match="its steps is 1, not 2"):
        Microscope(**options | {"steps": 2}).run(progress=None)


def test_the_command_line_makes_a_site(command: Callable[..., tuple[int, str, str]]) -> None:
    run = "microscope --model nets.py:net --size 24 --layers conv --channels 0-1 --classes none --steps 1 --out SITE"
    code, out, err = command(*run.split())
    assert code == 0 and "2 units in SITE" in out and "open SITE/index.html" in out, err
    assert command("microscope", "--model", "nets.py:net", "--size", "24", "--layers", "nowhere")[0] == 2
