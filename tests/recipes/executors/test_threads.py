"""Threads: they sleep while they wait, and are no more than a container's quota feeds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recipes.executors.threads import default_threads, fitting, quota, wait_passively

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("threads", "cores", "expected"),
    [(8, None, 8), (8, 2.5, 2), (8, 0.5, 1), (2, 16.0, 2), (1, 1.0, 1)],
)
def test_threads_fit_into_the_quota(threads: int, cores: float | None, expected: int) -> None:
    assert fitting(threads, cores) == expected


def group(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("cpu_", "cpu.")).write_text(text)


def test_the_quota_of_control_groups_of_version_2_is_the_tightest(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/user/run\n")
    root = tmp_path / "cgroup"
    group(root, "user/run", cpu_max="max 100000\n")
    assert quota(root, own) is None
    group(root, "user", cpu_max="250000 100000\n")
    assert quota(root, own) == 2.5
    group(root, "user/run", cpu_max="50000 100000\n")
    assert quota(root, own) == 0.5


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
def test_the_quota_of_control_groups_of_version_1(tmp_path: Path, controllers: str) -> None:
    own = tmp_path / "own"
    own.write_text(f"7:memory:/mem\n4:{controllers}:/docker/abc\n")
    root = tmp_path / "cgroup"
    group(root, f"{controllers}", cpu_cfs_quota_us="300000\n", cpu_cfs_period_us="100000\n")  # the container's mount
    assert quota(root, own) == 3.0
    group(root, f"{controllers}", cpu_cfs_quota_us="-1\n")
    assert quota(root, own) is None


@pytest.mark.parametrize("text", ["", "nonsense", "max", "0 0", "a b"])
def test_a_quota_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    own = tmp_path / "own"
    own.write_text("0::/run\nnonsense\n")
    group(tmp_path / "cgroup", "run", cpu_max=text)
    assert quota(tmp_path / "cgroup", own) is None
    assert quota(tmp_path / "cgroup", tmp_path / "missing") is None


def test_a_number_of_threads_that_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recipes.executors.threads.quota", lambda: 0.5)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert default_threads() == torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    assert default_threads() == 1


def test_what_the_user_says_about_waiting_stays() -> None:
    environment = {"KMP_BLOCKTIME": "200"}
    wait_passively(environment)
    assert environment == {"KMP_BLOCKTIME": "200"}
    environment = {}
    wait_passively(environment)
    assert environment == {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}


def test_the_command_line_waits_passively_before_torch_is_imported() -> None:
    code = (
        "import os, sys; import recipes.cli; "
        "print(os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules and not os.environ.get('OMP_WAIT_POLICY'))"
    )
    early = "import sys; from recipes.executors import threads; print('torch' in sys.modules)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "KMP_"))}
    for program, expected in ((code, "passive False\n"), (early, "False\n")):
        found = subprocess.run(
            [sys.executable, "-c", program],
            env=environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout == expected
