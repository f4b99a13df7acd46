"""`pytest -m quick`: the marker is set by `conftest.py`, and every package has such tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
PACKAGES = ("objectives", "priors", "inverter", "recipes")


def test_every_package_has_quick_tests(request: pytest.FixtureRequest) -> None:
    directory = request.config.invocation_params.dir
    if not {ROOT, TESTS} & {(directory / argument).resolve() for argument in request.config.args}:
        pytest.skip("counts the tests of a complete run")
    quick = {item.path.parent for item in request.session.items if item.get_closest_marker("quick")}
    packages = [path.parent for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")]
    assert len(packages) > 20
    for package in packages:
        folder = TESTS / package.relative_to(ROOT)
        while not folder.is_dir():  # some subpackages are tested with their parent
            folder = folder.parent
        assert any(path.is_relative_to(folder) for path in quick), f"no quick tests of {package.relative_to(ROOT)}"


def test_trained_networks_and_doctests_are_not_quick(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        if not isinstance(item, pytest.Function) or "shared_data" in item.fixturenames:
            assert item.get_closest_marker("quick") is None, item.nodeid
