"""What is known of a unit without a run: compared with correlations and effects that are computed by hand."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient
from torch import nn

from inverter import load_model
from recipes.explore import unit_facts
from recipes.explore.app import application
from recipes.explore.server.responses import activations_of
from recipes.explore.session import Session
from recipes.pictures.reading import fit, read_picture
from tests.recipes.attribution.conftest import TinyTransformer
from tests.recipes.explore.conftest import BASE, PORT, Options
from tests.recipes.explore.test_views import done, picture, start

LAYER, UNIT = "features.1", 4


@pytest.fixture
def shown(options: Options, tmp_path: Path) -> Iterator[tuple[Session, TestClient]]:
    """A session with pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(20):
        (folder / f"{seed:02d}.png").write_bytes(picture((12, 12), seed))
    session = Session(options(images=str(folder)))
    session.load()
    client = TestClient(application(session, PORT), base_url=BASE, headers={"Origin": BASE})
    client.get(f"/?token={session.access.token}")
    yield session, client
    session.close()


def test_facts_come_with_the_patches(shown: tuple[Session, TestClient]) -> None:
    session, client = shown
    known = client.get(f"/api/units/{LAYER}/{UNIT}").json()
    assert known == {"neighbours": [], "nearby": [], "classes": []}
    run = start(client, "patches", layer=LAYER, channels=str(UNIT)).json()["run"]
    made = done(client, run)
    patches = made["units"][0]["metrics"]["most"]
    assert all(client.get(made["files"][patch["picture"]]).status_code == 200 for patch in patches)
    known = client.get(f"/api/units/{LAYER}/{UNIT}").json()

    folder = activations_of(session.options, LAYER)
    means = np.load(next(folder.rglob("mean.npy")))
    correlations = np.nan_to_num(np.corrcoef(means.T)[UNIT])
    expected = [i for i in np.argsort(-correlations).tolist() if i != UNIT and correlations[i] >= 0.3]
    assert expected
    assert [each["channel"] for each in known["neighbours"]] == expected[: unit_facts.NEAREST]
    for each in known["neighbours"]:
        assert each["similarity"] == pytest.approx(correlations[each["channel"]], abs=2e-3)

    high = np.load(next(folder.rglob("high.npy")))[:, UNIT]
    strongest = np.argsort(-high, kind="stable")[: unit_facts.PICTURES]
    head = session.model.module.head[2]
    assert isinstance(head, nn.Linear)
    effects = head.weight[:, UNIT].detach() * float(means[strongest, UNIT].mean())  # the head is linear in the mean
    found = {each["index"]: each["effect"] for each in known["classes"]}
    assert sorted(found) == list(range(5))
    assert torch.tensor([found[i] for i in range(5)]).allclose(effects, atol=1e-3)
    assert [each["effect"] for each in known["classes"]] == sorted(found.values(), reverse=True)


def test_another_unit_of_the_layer_needs_no_other_pass(
    shown: tuple[Session, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, client = shown
    assert done(client, start(client, "patches", layer=LAYER, channels="1").json()["run"])["state"] == "finished"
    passes = []
    monkeypatch.setattr("recipes.activations.collect._Pass.run", lambda *_: passes.append(1))
    assert done(client, start(client, "patches", layer=LAYER, channels="2").json()["run"])["state"] == "finished"
    assert passes == []


def test_units_of_the_stages_next_to_it_are_found_once_they_have_seen_the_pictures(
    shown: tuple[Session, TestClient],
) -> None:
    session, client = shown
    assert done(client, start(client, "patches", layer=LAYER, channels="1").json()["run"])["state"] == "finished"
    assert client.get(f"/api/units/{LAYER}/{UNIT}").json()["nearby"] == []
    assert done(client, start(client, "patches", layer="features.0", channels="1").json()["run"])["state"] == "finished"
    found = client.get(f"/api/units/{LAYER}/{UNIT}").json()["nearby"]
    own, other = (
        np.load(next(activations_of(session.options, layer).rglob("mean.npy"))) for layer in (LAYER, "features.0")
    )
    correlations = np.nan_to_num(np.corrcoef(own[:, UNIT], other.T)[0, 1:])
    expected = [i for i in np.argsort(-correlations).tolist() if correlations[i] >= 0.3]
    assert expected
    assert [each["channel"] for each in found] == expected[: unit_facts.NEAREST]
    assert {each["layer"] for each in found} == {"features.0"}


def test_the_classes_that_a_channel_of_tokens_matters_for(options: Options, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        net = TinyTransformer().eval()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(4):
        (folder / f"{seed:02d}.png").write_bytes(picture((16, 16), seed))
    model = load_model(net, input_size=16, device="cpu")
    session = Session(options(model=model, images=str(folder)))
    session.load()
    session.responses.collect("blocks.2", lambda _: None)
    found = {each["index"]: each["effect"] for each in unit_facts.facts(session, "blocks.2", 7)["classes"]}
    with torch.no_grad():
        shown = [fit(read_picture(path), (16, 16)) for path in sorted(folder.iterdir())]
        tokens = net.blocks(net.embedded(model.normalize(torch.stack(shown))))
        without = tokens.clone()
        without[..., 7] = 0
        effects = (net.head(net.norm(tokens)[:, 0]) - net.head(net.norm(without)[:, 0])).mean(0)
    assert torch.tensor([found[index] for index in range(5)]).allclose(effects, atol=1e-3)
    session.close()
