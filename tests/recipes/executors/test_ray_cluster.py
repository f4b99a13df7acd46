"""A local Ray cluster: the same bytes as one process, also when an actor is killed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from recipes import Gallery


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray on two cores of this machine, started by the first run that needs it."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'inverter-vis[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # by default 15: on a busy machine its actors would hardly run
        yield
        ray.shutdown()


@pytest.mark.usefixtures("cluster")
def test_two_actors_of_which_one_is_killed_leave_the_same_bytes(killed: Callable[..., dict[str, bytes]]) -> None:
    output = killed({"ray": "local", "workers": 2}, images=None)
    assert sum(name.startswith("images/") for name in output) == 12


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_does_not_fit_the_cluster_is_reported_in_one_line(killable_gallery: Any) -> None:
    with pytest.raises(
        ValueError, match="one worker needs 1 core and 2 GPUs, but the entire Ray cluster has"
    ) as caught:
        killable_gallery.recipe("there", ray="local", ray_gpus=2.0).run()
    assert "\n" not in str(caught.value)
    assert not (killable_gallery.folder / "there" / "manifest.json").exists()


def test_without_ray_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"ray is not installed: pip install 'inverter-vis\[ray\]'"):
        Gallery(ray="local", layer="features.stem", device="cpu").run()
