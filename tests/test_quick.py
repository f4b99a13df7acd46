"""`pytest -m quick`: the marker is set by `conftest.py`, and every package has such tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
PACKAGES = ("objectives", "priors", "inverter", "recipes")


@pytest.fixture
def items(request: pytest.FixtureRequest) -> list[pytest.Item]:
    """The tests of a run of all tests, or of all quick ones."""
    directory, options = request.config.invocation_params.dir, request.config.option
    complete = {ROOT, TESTS} & {(directory / argument).resolve() for argument in request.config.args}
    if not complete or options.keyword or options.markexpr not in ("", "quick"):
        pytest.skip("counts the tests of a complete run")
    return request.session.items


def test_every_package_has_quick_tests(items: list[pytest.Item]) -> None:
    quick = {item.path.parent for item in items if item.get_closest_marker("quick")}
    packages = [path.parent for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")]
    assert len(packages) > 20
    for package in packages:
        folder = TESTS / package.relative_to(ROOT)
        while not folder.is_dir():  # some subpackages are tested with their parent
            folder = folder.parent
        assert any(path.is_relative_to(folder) for path in quick), f"no quick tests of {package.relative_to(ROOT)}"


def test_the_list_of_slow_tests_is_up_to_date(
    items: list[pytest.Item], slow_tests: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    if request.config.option.markexpr:
        pytest.skip("the slow tests are not collected")
    for start in slow_tests:
        found = [item for item in items if item.nodeid.startswith(f"tests/{start}")]
        assert found, f"no test begins with tests/{start}"
        assert not any(item.get_closest_marker("quick") for item in found), start


def test_trained_networks_and_doctests_are_not_quick(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        if not isinstance(item, pytest.Function) or "shared_data" in item.fixturenames:
            assert item.get_closest_marker("quick") is None, item.nodeid
