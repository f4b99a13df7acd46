"""The routes: what they answer, and that no body, path or address harms them."""

import json

import pytest
from starlette.testclient import TestClient

from recipes.explore import app
from recipes.explore.session import Session

JSON = "application/json"


def test_the_network_is_described(client: TestClient) -> None:
    found = client.get("/api/network").json()
    assert found["input"] == {"height": 12, "width": 12, "channels": 3}
    layers = {layer["address"]: layer for layer in found["layers"]}
    assert layers["features.1"] | {"type": ""} == {
        "address": "features.1",
        "type": "",
        "channels": 20,
        "height": 12,
        "width": 12,
        "kind": "map",
        "receptive_field": [5, 5],
        "stage": True,
    }
    assert (layers["head.2"]["kind"], layers["head.2"]["receptive_field"]) == ("vector", None)
    assert found["options"]["defaults"] == {"size": 12, "steps": 6, "prior": "fourier", "augment": "auto"}
    assert {"fourier", "pixels"} <= {prior["name"] for prior in found["options"]["priors"]}
    assert (found["images"], found["natural"], found["out"]) == (None, False, "out")
    tuned = {prior["name"]: {each["name"] for each in prior["options"]} for prior in found["options"]["priors"]}
    assert {"decay", "contrast"} <= tuned["fourier"]
    assert tuned["gan"] == set()


def test_the_units_of_a_layer_are_listed_before_they_are_made(client: TestClient) -> None:
    found = client.get("/api/layers/features.0").json()
    assert (found["layer"], found["count"], len(found["units"])) == ("features.0", 12, 12)
    assert {unit["url"] for unit in found["units"]} == {None}
    assert client.get("/api/layers/nowhere").status_code == 404
    assert client.get("/api/layers/features.0%23 1").json()["error"].startswith("the network has no layer")


def test_a_page_says_what_it_shows(client: TestClient, session: Session) -> None:
    visible = "/api/pages/aaaaaaaa/visible"
    assert client.post(visible, json={"layer": "features.0", "channels": [3, 1]}).status_code == 204
    assert session.grid.waiting == 2
    for given in (
        {"layer": "features.0", "channels": [12]},
        {"layer": "features.0", "channels": [True]},
        {"layer": "features.0", "channels": [1.5]},
        {"layer": "features.0", "channels": "all"},
        {"layer": "features.0", "channels": list(range(501))},
        {"layer": 3, "channels": []},
        {"channels": []},
        {},
        [],
    ):
        answer = client.post(visible, json=given)
        assert answer.status_code == 400, given
        assert set(answer.json()) == {"error"}
    assert client.post(visible, json={"layer": "x", "channels": []}).status_code == 404
    assert session.grid.waiting == 2


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", JSON, 400),
        (b"\xff\xfe", JSON, 400),
        (b"[" * 30_000, JSON, 400),
        (b'{"layer": "features.0", "channels": [' + b"9" * 6000 + b"]}", JSON, 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b'{"a": "' + b"a" * 70_000 + b'"}', JSON, 413),
    ],
)
def test_bad_bodies_are_refused_in_one_line(client: TestClient, content: bytes, kind: str, status: int) -> None:
    answer = client.post("/api/pages/aaaaaaaa/visible", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]


def test_a_body_is_counted_while_it_arrives(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    def endless():  # type: ignore[no-untyped-def]
        nonlocal taken
        while taken < 1000:
            taken += 1
            yield b"x" * 10_000

    monkeypatch.setattr(app, "MOST_PHOTO", 100_000)
    assert client.post("/api/photos", content=endless()).status_code == 413
    for length in ("-1", "1e3", "9" * 30, "100001"):
        assert client.post("/api/photos", content=b"x", headers={"Content-Length": length}).status_code == 413


def test_few_photographs_arrive_at_a_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.post("/api/photos", content=b"no picture").status_code == 400
    monkeypatch.setattr(app.asyncio.Semaphore, "locked", lambda _self: True)
    assert client.post("/api/photos", content=b"no picture").status_code == 429


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e%2fsecret.txt",
        "/assets/%00",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/files/../secret.txt",
        "/files/%2e%2e%2fsecret.txt",
        "/files/%2fetc%2fpasswd",
        "/files/manifest.json",
        "/files/images%2ffeatures.0%2f0000.png",
        "/api/layers/../../secret.txt",
        "/api/runs/..%2f..%2fsecret.txt",
        "/api/runs/..%2f..%2fsecret.txt/download?as=../x",
    ],
)
def test_no_path_of_a_page_reaches_the_file_system(client: TestClient, session: Session, path: str) -> None:
    (session.out.parent / "secret.txt").write_text("secret")
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert b"secret text" not in answer.content and b"root:" not in answer.content


def test_listed_files_are_served_as_what_they_are(client: TestClient, session: Session) -> None:
    picture = session.out / "picture.svg"
    picture.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    url = session.files.add(picture)
    answer = client.get(url)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    picture.write_text("<svg/>")
    assert session.files.add(picture) != url
    outside = session.out.parent / "outside.png"
    outside.write_bytes(b"secret text")
    picture.unlink()
    picture.symlink_to(outside)
    assert client.get(url).status_code == 404  # a link that leads out
    script = session.out / "page.html"
    script.write_text("<script></script>")
    assert client.get(session.files.add(script)).status_code == 404


def test_an_error_of_the_code_says_nothing_of_it(
    client: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("/a/secret/path")

    monkeypatch.setattr(session, "network", broken)
    quiet = TestClient(client.app, base_url=str(client.base_url), raise_server_exceptions=False, cookies=client.cookies)
    answer = quiet.get("/api/network")
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_the_page_uses_no_address_from_outside() -> None:
    for name, (content, _) in app.assets().items():
        text = content.decode()
        assert "http://" not in text.replace("http://www.w3.org/", ""), name
        assert "https://" not in text, name


def test_the_page_comes_before_the_network(client: TestClient, session: Session) -> None:
    session._ready.clear()
    assert client.get("/").status_code == 200
    assert session.status()["busy"]
    session._ready.set()
    assert json.loads(client.get("/api/network").text)["spec"]
