"""A GPU starts while the network is loaded; without one, and for a bad one, it has no effect."""

import threading

import pytest
import torch

from recipes.runner import cuda_start
from recipes.runner.cuda_start import starting_gpu


@pytest.mark.parametrize(("device", "started"), [(None, "cuda"), ("auto", "cuda"), ("cuda:0", "cuda:0"), ("cpu", None)])
def test_the_gpu_starts_in_another_thread_and_has_started_at_the_end(
    monkeypatch: pytest.MonkeyPatch, device: str | None, started: str | None
) -> None:
    loading, found = threading.Event(), list[str]()

    def start(name: str) -> None:
        assert loading.wait(10)  # it does not hold up what is loaded
        found.append(name)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda_start, "_start", start)
    with starting_gpu(device):
        loading.set()
    assert found == ([] if started is None else [started])


def test_a_gpu_that_cannot_start_is_left_to_who_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with starting_gpu("cuda:99"):
        pass


def test_without_a_gpu_no_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(cuda_start, "_start", lambda _: pytest.fail("it has started"))
    with starting_gpu(None):
        pass
