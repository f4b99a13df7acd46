"""Several GPUs: one for each worker process, by the variable that CUDA reads."""

import os
import time
import warnings
from typing import Any

import pytest
import torch

from recipes.executors.processes import Processes


def no_network() -> Any:
    """Instead of a network: the work below needs none."""


def visible(_model: object, seconds: float, _on_progress: object) -> str:
    time.sleep(seconds)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_each_worker_sees_one_of_the_gpus_that_this_process_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    executor = Processes(no_network, 2, 1, torch.device("cuda"))
    assert executor.gpus == ["3", "5"]
    seen, meeting = set[str](), executor.map(visible, [0.5] * 100, lambda *_: None)
    for _, gpu in meeting:
        seen.add(gpu)
        if len(seen) == 2:  # both have started
            meeting.close()
    assert seen == {"3", "5"}


@pytest.mark.parametrize(("workers", "says"), [(3, "3 workers share 2 GPUs: set workers to 2"), (2, None)])
def test_more_workers_than_gpus_are_reported(monkeypatch: pytest.MonkeyPatch, workers: int, says: str | None) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Processes(no_network, workers, 1, torch.device("cuda"))
    assert [str(each.message)[: len(says or "")] for each in caught] == ([says] if says else [])


@pytest.mark.parametrize(("device", "spread"), [("cpu", True), ("cuda", False)])
def test_a_named_gpu_or_a_cpu_is_not_divided(monkeypatch: pytest.MonkeyPatch, device: str, spread: bool) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert Processes(no_network, 2, 1, torch.device(device), spread).gpus == []
