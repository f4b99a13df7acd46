"""Runs that pages start: each recipe runs, is answered at once when it is finished, and stops when nobody waits."""

import io
import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from inverter_errors import MissingFile
from recipes import Statistics
from recipes.cli.entry import main
from recipes.explore import views
from recipes.explore.app import application
from recipes.explore.explore import Explore
from recipes.explore.page_settings import ALLOWED
from recipes.explore.session import Session
from tests.recipes.explore.conftest import BASE, PORT, Options

PAGE = "page-0001"
STAGE = "features.0"


def picture(size: tuple[int, int] = (40, 30), seed: int = 0, form: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def start(client: TestClient, recipe: str, slot: str = "picture", **settings: Any) -> Any:
    return client.post(f"/api/pages/{PAGE}/runs", json={"recipe": recipe, "settings": settings, "slot": slot})


def done(client: TestClient, run: str, seconds: float = 60) -> dict[str, Any]:
    """The run, once it has ended."""
    deadline = time.monotonic() + seconds
    while (found := client.get(f"/api/runs/{run}").json())["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


@pytest.fixture
def photo(client: TestClient) -> str:
    return client.post("/api/photos", content=picture()).json()["photo"]


def requests(photo: str, layer: str, size: int, positions: list[str]) -> dict[str, dict[str, Any]]:
    """A request of each recipe."""
    return {
        "gallery": {"layer": layer, "channels": "3", "attempts": 2, "negative": True, "steps": 2, "size": size},
        "mix": {"terms": [f"{layer}/3=1", f"{layer}/4=-0.5"], "steps": 3, "size": size},
        "patches": {"layer": layer, "channels": "3"},
        "circuit": {"layer": layer, "channels": "3", "count": 1},
        "invert": {"photo": photo, "layer": layer, "steps": 2},
        "dream": {"photo": photo, "layer": layer, "channels": "3", "steps": 1, "size": 64},
        "explain": {"photo": photo, "method": "saliency", "target": "logit:top"},
        "dictionary": {"photo": photo, "layer": layer, "positions": positions, "steps": 2},
    }


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "another recipe": ("classes", {}, "expected one of gallery, mix"),
    "a folder": ("gallery", {"layer": STAGE, "out": "elsewhere"}, "takes no setting 'out'"),
    "weights": ("gallery", {"layer": STAGE, "weights": "x.pt"}, "takes no setting 'weights'"),
    "images": ("patches", {"layer": STAGE, "images": "elsewhere"}, "takes no setting 'images'"),
    "an absent layer": ("gallery", {"layer": "features.9", "channels": "1"}, "no layer 'features.9'"),
    "all layers": ("gallery", {"layer": "all", "channels": "1"}, "no layer 'all'"),
    "many steps": ("gallery", {"layer": STAGE, "channels": "1", "steps": 513}, "from 1 to 512"),
    "steps that are true": ("gallery", {"layer": STAGE, "channels": "1", "steps": True}, "from 1 to 512"),
    "a large size": ("mix", {"terms": [f"{STAGE}/1=1"], "size": 513}, "from 16 to 512"),
    "many attempts": ("mix", {"terms": [f"{STAGE}/1=1"], "attempts": 9}, "from 1 to 8"),
    "a rate": ("mix", {"terms": [f"{STAGE}/1=1"], "learning_rate": 1e9}, "from 1e-6 to 10"),
    "many channels": ("gallery", {"layer": STAGE, "channels": ",".join(map(str, range(66)))}, "64 numbers"),
    "no channels": ("gallery", {"layer": STAGE, "channels": "all"}, "numbers"),
    "a prior with a file": ("gallery", {"layer": STAGE, "prior": "decoder:weights=/etc/passwd"}, "prior"),
    "a prior with a module": ("gallery", {"layer": STAGE, "prior": "gan:generator=x.py:f"}, "prior"),
    "an option without bound": ("gallery", {"layer": STAGE, "prior": "pixels:l2=1e9"}, "l2"),
    "an option that is no number": ("gallery", {"layer": STAGE, "prior": 'maco:transparent="x"'}, "transparent"),
    "a target with a file": ("explain", {"target": "direction:features.0:x.npy"}, "target"),
    "a method with a file": ("explain", {"method": "deep-shap:background=/etc"}, "method"),
    "no photograph": ("explain", {"photo": "../../etc/passwd"}, "not here any more"),
    "no statistics": ("gallery", {"layer": STAGE, "natural": True}, "brings no statistics"),
    "no pictures": ("patches", {"layer": STAGE, "channels": "1"}, "--images FOLDER"),
    "no terms": ("mix", {}, "mix needs term"),
    "a term of another form": ("mix", {"terms": ["x=y"]}, "term 'x=y'"),
    "a position": ("dictionary", {"positions": ["all"]}, "positions"),
    "settings that are a list": ("mix", [], "expected an object"),  # type: ignore[dict-item]
}


def test_what_pages_may_not_ask_for_is_refused_in_one_line(client: TestClient, session: Session) -> None:
    for case, (recipe, settings, says) in REFUSED.items():
        body = {"recipe": recipe, "settings": settings, "slot": "picture"}
        answer = client.post(f"/api/pages/{PAGE}/runs", json=body)
        assert answer.status_code in (400, 404), (case, answer.text)
        assert says in answer.json()["error"], (case, answer.text)
        assert "\n" not in answer.json()["error"]
    assert not (session.out / views.VIEWS).exists()


def test_no_setting_of_a_page_is_a_field_that_names_a_file() -> None:
    named = {"weights", "out", "images", "image", "model", "directions", "categories", "like", "judge", "inverter"}
    assert all(not named & set(checks) for checks in ALLOWED.values())


def test_a_run_is_made_once_and_then_answered_at_once(client: TestClient, session: Session) -> None:
    mixture = {"terms": [f"{STAGE}/3=1", f"{STAGE}/4=-0.5"], "steps": 3}
    first = start(client, "mix", **mixture).json()
    made = done(client, first["run"])
    assert made["state"] == "finished"
    (unit,) = made["units"]
    assert client.get(unit["url"]).headers["content-type"] == "image/png"
    assert [term["term"] for term in unit["metrics"]["terms"]] == ["features.0/3", "features.0/4"]
    again = start(client, "mix", **mixture).json()
    assert (again["state"], again["units"]) == ("finished", made["units"])
    session.runs.clear()  # as after a restart
    assert start(client, "mix", **mixture).json()["state"] == "finished"
    Path(session.out / views.VIEWS / first["run"] / unit["file"]).unlink()
    session.runs.clear()
    assert start(client, "mix", **mixture).json()["state"] == "waiting"
    assert done(client, first["run"])["state"] == "finished"


def test_a_newer_run_of_a_slot_stops_the_older_and_leaves_no_folder(client: TestClient, session: Session) -> None:
    long = start(client, "mix", terms=[f"{STAGE}/3=1"], steps=512, size=256).json()["run"]
    other = start(client, "mix", slot="other", terms=[f"{STAGE}/5=1"], steps=2).json()["run"]
    short = start(client, "mix", terms=[f"{STAGE}/4=1"], steps=2).json()["run"]
    assert done(client, short)["state"] == done(client, other)["state"] == "finished"
    assert client.get(f"/api/runs/{long}").json()["state"] in ("stopped", "waiting")
    assert not (session.out / views.VIEWS / long).exists()
    assert client.delete("/api/runs/absent").status_code == 404


def test_a_run_can_be_stopped_and_started_again(client: TestClient) -> None:
    long = {"terms": [f"{STAGE}/3=1"], "steps": 512, "size": 256}
    run = start(client, "mix", **long).json()["run"]
    assert client.delete(f"/api/runs/{run}").status_code == 204
    assert start(client, "mix", **long).json()["state"] in ("waiting", "running")
    client.delete(f"/api/runs/{run}")


def test_a_page_that_closes_stops_a_run_for_itself_alone(client: TestClient, session: Session) -> None:
    long = {"terms": [f"{STAGE}/3=1"], "steps": 512, "size": 256}
    run = start(client, "mix", **long).json()["run"]
    assert client.delete(f"/api/runs/{run}?page=another").status_code == 204
    assert session.workers.busy
    assert client.get(f"/api/runs/{run}").json()["state"] in ("waiting", "running")
    client.delete(f"/api/runs/{run}?page={PAGE}")
    assert done(client, run)["state"] == "stopped"


def test_a_page_that_leaves_a_run_leaves_it_to_the_others(client: TestClient) -> None:
    start(client, "mix", terms=[f"{STAGE}/3=1"], steps=512, size=256)  # keeps the foreground busy
    mixture = {"recipe": "mix", "settings": {"terms": [f"{STAGE}/4=1"], "steps": 2}, "slot": "other"}
    for page in (PAGE, "page-0002"):
        run = client.post(f"/api/pages/{page}/runs", json=mixture).json()["run"]
    assert client.delete(f"/api/runs/{run}?page={PAGE}").status_code == 204
    start(client, "mix", terms=[f"{STAGE}/5=1"], steps=2)
    deadline = time.monotonic() + 30
    while client.get(f"/api/runs/{run}").json()["state"] != "finished":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_fails_in_a_run_is_told_in_one_line(client: TestClient) -> None:
    run = start(client, "gallery", layer=STAGE, channels="99").json()["run"]
    failed = done(client, run)
    assert failed["state"] == "failed"
    assert "channel 99 is out of range" in failed["message"]
    assert failed["units"] == []


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A session of the bundled network with a folder of pictures, and a client of it."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(16):
        (folder / f"{seed:02d}.png").write_bytes(picture((32, 32), seed))
    out = tmp_path_factory.mktemp("bundled")
    options = Explore(model="builtin", images=str(folder), out=str(out / "out"), size=32, steps=2, device="cpu")
    session = Session(options)
    session.load()
    client = TestClient(application(session, PORT), base_url=BASE, headers={"Origin": BASE})
    client.get(f"/?token={session.access.token}")
    yield session, client
    session.close()


@pytest.mark.parametrize("name", ALLOWED)
def test_a_copied_command_makes_the_same_pictures(
    bundled: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, client = bundled
    photo = client.post("/api/photos", content=picture((48, 40), 99)).json()["photo"]
    answer = start(client, name, **requests(photo, "features.stage1", 32, ["1,1"])[name]).json()
    made = done(client, answer["run"])
    assert made["state"] == "finished", made["message"]
    assert made["units"]
    assert all(client.get(unit["url"]).status_code == 200 for unit in made["units"])
    monkeypatch.chdir(tmp_path)
    _, *words = shlex.split(made["copies"]["command"])
    assert main(words) == 0
    out = tmp_path / type(session.runs[answer["run"]].recipe).out
    folder = out.parent if out.suffix == ".png" else out
    for unit in made["units"]:
        mine = session.out / views.VIEWS / answer["run"] / unit["file"]
        with Image.open(mine) as one, Image.open(folder / Path(unit["file"])) as two:
            assert (np.asarray(one) == np.asarray(two)).all(), unit["file"]
    known = json.loads((session.out / views.VIEWS / answer["run"] / "manifest.json").read_bytes())
    assert known["recipe"] == name


def test_of_many_runs_those_that_were_used_last_are_kept(
    client: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_KEPT", 3)
    monkeypatch.setattr(views, "MOST", 1)
    runs = []
    for channel in range(4):
        run = start(client, "gallery", layer=STAGE, channels=str(channel), steps=1).json()["run"]
        assert done(client, run)["state"] == "finished"
        os.utime(session.out / "views" / run, (channel, channel))
        runs.append(run)
    (session.out / "views" / "activations-0").mkdir()
    again = start(client, "gallery", layer=STAGE, channels="0", steps=1).json()  # used once more
    assert again["state"] == "finished"
    run = start(client, "gallery", layer=STAGE, channels="4", steps=1).json()["run"]
    assert done(client, run)["state"] == "finished"
    left = {path.name for path in (session.out / "views").iterdir()}
    assert left == {"activations-0", runs[0], runs[2], runs[3], run}


def test_views_may_use_the_statistics_that_the_command_names(options: Options, tmp_path: Path) -> None:
    chosen, file = options(), tmp_path / "statistics.safetensors"
    (tmp_path / "pictures").mkdir()
    for seed in range(4):
        (tmp_path / "pictures" / f"{seed}.png").write_bytes(picture((12, 12), seed))
    Statistics(model=chosen.model, images=str(tmp_path / "pictures"), out=str(file)).run(None)
    session = Session(options(natural=str(file)))
    session.load()
    client = TestClient(application(session, PORT), base_url=BASE, headers={"Origin": BASE})
    client.get(f"/?token={session.access.token}")
    assert client.get("/api/network").json()["natural"] is True
    unit = {"layer": STAGE, "channels": "3"}
    runs = [start(client, "gallery", slot=str(on), natural=on, **unit).json()["run"] for on in (True, False)]
    held, free = (done(client, run) for run in runs)
    assert (held["settings"]["natural"], free["settings"]["natural"]) == (str(file), None)
    pictures = [(session.out / "views" / run["run"] / run["units"][0]["file"]).read_bytes() for run in (held, free)]
    assert pictures[0] != pictures[1]
    session.close()
    wrong = Session(options(natural=str(tmp_path / "none.safetensors")))
    with pytest.raises(MissingFile, match=r"none\.safetensors"):
        wrong.load()
    wrong.close()
