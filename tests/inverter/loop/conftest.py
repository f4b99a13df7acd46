"""A small network, and the graphs that a test records of it."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from inverter import Model, load_model
from tests.inverter.test_on_device import SIZE, Dwarf
from tests.pretended_graphs import RecordedGraph


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return Dwarf().eval()


@pytest.fixture
def model(network: nn.Module) -> Model:
    return load_model(network, input_size=SIZE, device="cpu")


@pytest.fixture
def graphs_made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RecordedGraph]]:
    """The graphs that a test records. What comes later takes less, so that replays pay however busy the machine is."""
    clock = (-(0.8**number) for number in itertools.count())
    monkeypatch.setattr("time.perf_counter", clock.__next__)
    made: list[RecordedGraph] = []
    begin = RecordedGraph.__init__

    def kept(self: RecordedGraph) -> None:
        begin(self)
        made.append(self)

    monkeypatch.setattr(RecordedGraph, "__init__", kept)
    yield made
