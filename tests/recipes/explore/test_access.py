"""Who may come in: the token and the cookie, Host and Origin, and what a browser is forbidden."""

import pytest
from starlette.testclient import TestClient

from inverter_errors import BadInput
from recipes.explore.app import application
from recipes.explore.explore import Explore
from recipes.explore.server.access import FAILURES, Access, Refused
from recipes.explore.session import Session
from tests.recipes.explore.conftest import BASE, PORT

PRIVATE = ("/api/network", "/api/layers/features.0", "/api/events?page=aaaaaaaa", "/assets/index.html", "/files/abc")


@pytest.fixture
def stranger(session: Session) -> TestClient:
    """A browser without the cookie."""
    return TestClient(application(session, PORT), base_url=BASE, headers={"Origin": BASE})


def test_the_link_sets_a_cookie_and_leaves_the_address(session: Session, stranger: TestClient) -> None:
    answer = stranger.get(f"/?token={session.access.token}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and session.access.token not in cookie
    assert stranger.get("/").status_code == 200
    assert stranger.get("/api/network").json()["stages"] == ["features.0", "features.1"]


def test_a_link_that_another_site_opens_goes_on_by_itself(session: Session, stranger: TestClient) -> None:
    """Browsers do not send a strict cookie along a redirect that began at another site."""
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = stranger.get(f"/?token={session.access.token}", headers=visit, follow_redirects=False)
    assert (answer.status_code, 'content="0;url=/"' in answer.text) == (200, True)
    assert "SameSite=strict" in answer.headers["set-cookie"]


@pytest.mark.parametrize("path", PRIVATE)
def test_without_the_cookie_there_is_nobody(stranger: TestClient, path: str) -> None:
    assert stranger.get(path).status_code == 401
    stranger.cookies.set(f"inverter-explore-{PORT}", "wrong")
    assert stranger.get(path).status_code == 401


def test_the_page_says_how_to_come_in(stranger: TestClient) -> None:
    assert "terminal" in stranger.get("/").text
    assert stranger.get("/").status_code == 401
    assert stranger.get("/?token=wrong").status_code == 401
    assert stranger.get("/?token=%00%ff").status_code == 401


def test_tokens_cannot_be_guessed_by_trying(session: Session, stranger: TestClient) -> None:
    answers = [stranger.get(f"/?token={number}").status_code for number in range(FAILURES + 3)]
    assert answers == [401] * FAILURES + [429] * 3
    assert stranger.get(f"/?token={session.access.token}").status_code == 429


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8123", "127.0.0.1.evil.example", "10.0.0.1:8123", "localhost@evil", "a[", ""]
)
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/api/network", headers={"Host": host}).status_code == 403
    assert client.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8123", "localhost:9999", "[::1]:8123"])
def test_this_machine_is_served_through_tunnels_too(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1", ""])
def test_another_origin_is_refused(client: TestClient, origin: str) -> None:
    given = {"layer": "features.0", "channels": [0]}
    for path in ("/api/pages/aaaaaaaa/visible", "/api/pages/aaaaaaaa/runs", "/api/photos"):
        assert client.post(path, json=given, headers={"Origin": origin}).status_code == 403
    assert client.delete("/api/runs/1", headers={"Origin": origin}).status_code == 403
    assert client.get("/api/events?page=aaaaaaaa", headers={"Origin": origin}).status_code == 403


def test_a_change_needs_an_origin_and_a_reading_from_another_site_is_refused(client: TestClient) -> None:
    del client.headers["Origin"]
    assert client.post("/api/pages/aaaaaaaa/visible", json={}).status_code == 403
    assert client.get("/api/network").status_code == 200
    assert client.get("/api/network", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=visit).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    assert client.request(method, "/api/network").status_code == 405


def test_every_response_forbids_what_the_page_does_not_need(client: TestClient) -> None:
    for path in ("/", "/api/network", "/nowhere", "/assets/missing.js", "/?token=wrong"):
        headers = client.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert not [name for name in headers if name.startswith("access-control")]


def test_other_machines_need_a_token_that_cannot_be_guessed() -> None:
    with pytest.raises(BadInput, match=r"host 0\.0\.0\.0 lets other machines in.*set token"):
        Access(None, "0.0.0.0")
    with pytest.raises(BadInput, match="token has 5 characters; expected 16"):
        Access("12345", "0.0.0.0")
    with pytest.raises(BadInput, match="set token"):
        Session(Explore(model="builtin", host="0.0.0.0", out="never"))
    access = Access("a" * 16, "0.0.0.0")
    assert access.admits("a" * 16)
    assert access._is_ours("192.168.1.5:8000") and not access._is_ours("evil.example:8000")


def test_a_tokens_length_is_not_told_by_an_error() -> None:
    access = Access()
    for given in ("", "x", access.token + "x", access.token[:-1], "\udcff"):
        assert not access.admits(given)
    assert access.admits(access.token)
    assert Access().token != access.token
    with pytest.raises(Refused):
        for _ in range(FAILURES + 1):
            access.admits("wrong")
