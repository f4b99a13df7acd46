"""Guided backpropagation and deconvnet: refused where they would be the plain gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import Model, load_model
from objectives import logit
from recipes.attribution import explain


class Net(nn.Module):
    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first, self.second, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Linear(8, 5)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.second(self.act(self.first(x)))).mean((2, 3)))


def model_of(net: nn.Module) -> Model:
    return load_model(net.eval(), input_size=16, device="cpu")


METHODS = ("guided-backprop", "deconvnet", "guided-grad-cam")


@pytest.mark.parametrize("method", METHODS)
def test_the_map_does_not_depend_on_the_spelling(method: str, pictures: Tensor) -> None:
    expected = explain(model_of(Net(F.relu)), pictures, logit(1), method, layer=layer_of(method))
    for act in (lambda x: x.clamp(min=0), lambda x: x * (x > 0), lambda x: torch.where(x > 0, x, 0)):
        torch.testing.assert_close(
            explain(model_of(Net(act)), pictures, logit(1), method, layer=layer_of(method)), expected
        )


def layer_of(method: str) -> str | None:
    return None if method == "guided-backprop" else "second"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("act", "name"), [(F.gelu, "gelu"), (nn.PReLU(), "prelu"), (F.silu, "silu"), (F.elu, "elu")])
def test_networks_without_relus_are_refused(
    method: str, act: Callable[[Tensor], Tensor], name: str, pictures: Tensor
) -> None:
    with pytest.raises(ValueError, match=rf"needs ReLUs, and \w+ has none between .*\({name}\)") as caught:
        explain(model_of(Net(act)), pictures, logit(1), method, layer=layer_of(method))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_traced_networks_are_refused(method: str, pictures: Tensor) -> None:
    traced = nn.Sequential(torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), pictures), nn.ReLU())
    with pytest.raises(ValueError, match="cannot see the ReLUs inside of the TorchScript modules"):
        explain(model_of(traced), pictures, logit(1), method, layer=None if layer_of(method) is None else "1")


def test_activations_that_keep_their_gradient_are_named(pictures: Tensor) -> None:
    both = Net(lambda x: F.relu(F.hardswish(x)))
    with pytest.warns(UserWarning, match="guided-backprop rectifies ReLUs alone: hardswish of"):
        explain(model_of(both), pictures, logit(1), "guided-backprop")
