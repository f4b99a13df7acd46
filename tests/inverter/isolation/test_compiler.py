"""The compiler: seconds to import, so nobody waits for it who does not compile; and off all the same."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from inverter import Settings, load_model, optimize
from inverter.isolation import switches
from objectives import channel
from priors import Fourier

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import sys
from torch import nn
from inverter import Settings, layers, load_model, optimize
from objectives import channel
from priors import Fourier
model = load_model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_size=8)
layers(model)
optimize(model, channel("0", [0]), Fourier(1, size=8), Settings(steps=2))
assert "torch._dynamo" not in sys.modules
"""


def test_nobody_waits_for_the_compiler_who_compiles_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_forward_pass_that_is_the_first_to_compile_runs_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switches, "_COMPILER", "not imported yet")
    plain, calls = torch.compile, list[object]()

    def backend(graph: object, _inputs: object) -> object:
        calls.append(graph)
        return graph

    class Late(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            assert torch.compile is not plain or torch._dynamo.eval_frame._stance.stance == "force_eager"
            found: Tensor = torch.compile(super().forward, backend=backend)(input)
            return found

    optimize(load_model(nn.Sequential(Late(3, 4, 3))), channel("0", [0]), Fourier(1, size=8), Settings(steps=2))
    assert not calls
    assert torch.compile is plain
    assert torch._dynamo.eval_frame._stance.stance == "default"
    torch.compile(nn.Conv2d(3, 4, 3), backend=backend)(torch.zeros(1, 3, 8, 8))
    assert len(calls) == 1
