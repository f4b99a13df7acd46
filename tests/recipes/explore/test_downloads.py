"""What a reader takes along: the picture, a figure with labels, a film with bounded frames."""

import builtins
import io
from itertools import pairwise
from typing import Any

import pytest
import torch
from PIL import Image, ImageSequence
from starlette.testclient import TestClient

from recipes.explore import film
from recipes.explore.app import application
from recipes.explore.film import Frames
from recipes.explore.session import Session
from tests.recipes.explore.conftest import BASE, PORT, Options
from tests.recipes.explore.test_grid import working
from tests.recipes.explore.test_views import PAGE, STAGE, done, start


@pytest.fixture
def run(client: TestClient) -> str:
    made = start(client, "gallery", layer=STAGE, channels="3", attempts=2, steps=6).json()["run"]
    assert done(client, made)["state"] == "finished"
    return made


def test_a_run_is_taken_along_as_picture_figure_and_film(client: TestClient, run: str) -> None:
    for form, kind, magic in (
        ("png", "image/png", b"\x89PNG"),
        ("figure.png", "image/png", b"\x89PNG"),
        ("figure.svg", "image/svg+xml", b"<?xml"),
        ("gif", "image/gif", b"GIF89a"),
    ):
        answer = client.get(f"/api/runs/{run}/download?as={form}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind), answer.text
        assert answer.content.startswith(magic)
        assert answer.headers["content-disposition"] == f'attachment; filename="{run}.{form}"'
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert shown.n_frames > 2
        assert shown.info["loop"] == 0


def test_what_cannot_be_taken_along_is_one_line(
    client: TestClient, session: Session, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "expected one of png" in client.get(f"/api/runs/{run}/download?as=exe").json()["error"]
    assert client.get("/api/runs/absent/download").status_code == 404
    plain = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return plain(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    answer = client.get(f"/api/runs/{run}/download?as=figure.png")
    assert answer.status_code == 400
    assert "matplotlib" in answer.json()["error"]


def frames_of(content: bytes) -> list[bytes]:
    with Image.open(io.BytesIO(content)) as film:
        return [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(film)]


def test_a_film_that_is_not_in_memory_is_made_again(client: TestClient, session: Session, run: str) -> None:
    address = f"/api/runs/{run}/download?as=gif&page={PAGE}"
    before = client.get(address).content
    session.runs[run].frames.clear()
    assert frames_of(client.get(address).content) == frames_of(before)
    assert [path.name for path in (session.out / "views").iterdir()] == [run]


def test_a_film_is_made_for_an_open_page_alone(client: TestClient, session: Session, run: str) -> None:
    session.runs[run].frames.clear()
    assert client.get(f"/api/runs/{run}/download?as=gif").status_code == 400
    session.workers.close()  # nobody makes it
    session.workers.foreground = lambda job: job.run(lambda: True)  # type: ignore[method-assign]
    answer = client.get(f"/api/runs/{run}/download?as=gif&page={PAGE}")
    assert (answer.status_code, answer.json()["error"]) == (409, "the film was stopped")


def test_the_grids_picture_of_a_unit_is_taken_along(options: Options) -> None:
    with working(options()) as watched:
        session = watched.session
        client = TestClient(application(session, PORT), base_url=BASE, headers={"Origin": BASE})
        client.get(f"/?token={session.access.token}")
        address = f"/api/layers/{STAGE}/5/download?page={PAGE}&as="
        assert client.get(address + "png").status_code == 409
        session.grid.show(PAGE, STAGE, [5])
        watched.until(lambda: (STAGE, 5) in watched.units())
        answers = {form: client.get(address + form) for form in ("png", "figure.svg", "gif", "exe")}
        assert {form: answer.status_code for form, answer in answers.items()} == {
            "png": 200,
            "figure.svg": 200,
            "gif": 200,
            "exe": 400,
        }
        assert answers["png"].content == (session.out / session.grid.finished[STAGE, 5].file).read_bytes()
        assert answers["gif"].headers["content-disposition"] == 'attachment; filename="features.0-5.gif"'
        frames = frames_of(answers["gif"].content)
        assert frames[0] != frames[-1]


def test_a_long_film_has_bounded_frames_at_even_distances() -> None:
    frames, kept = Frames(), []
    for step in range(1000):
        if frames.due():
            kept.append(step)
            frames.add({f"{picture}.png": torch.full((3, 8, 8), step / 1000) for picture in range(9)})
    assert len(frames.of("0.png")) <= film.MOST
    assert len(frames.of("0.png")) >= film.MOST // 2
    assert frames.of(f"{film.PICTURES}.png") == []
    shades = [255 * float(frame.mean()) for frame in frames.of("0.png")]
    gaps = [b - a for a, b in pairwise(shades)]
    assert max(gaps) - min(gaps) <= 2
