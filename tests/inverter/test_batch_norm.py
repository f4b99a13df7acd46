"""Feature statistics from batch normalisation: what is read, and networks that carry none."""

import pytest
import torch
from torch import nn

from inverter import BadInput, Model, batch_norm_statistics
from inverter.batch_norm import MEAN_SPREAD, STD_SPREAD


def network(blocks: int = 12) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for block in range(blocks):
        layers += [nn.Conv2d(3 if block == 0 else 4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
        nn.init.normal_(layers[-2].running_mean)
        nn.init.uniform_(layers[-2].running_var, 1, 4)
    return nn.Sequential(*layers).eval()


def test_the_running_statistics_are_those_of_what_enters() -> None:
    net = network()
    model = Model(net, input_size=(16, 24))
    before = model.sha256
    found = batch_norm_statistics(model)
    assert len(found.layers) == 9 and next(iter(found.layers)) == "1:in" and list(found.layers)[-1] == "34:in"
    assert (found.sha256, found.images, found.size) == (before, 0, (16, 24)) and model.sha256 == before
    layer, part = found["1:in"], net[1]
    assert isinstance(part, nn.BatchNorm2d) and part.running_var is not None and part.running_mean is not None
    torch.testing.assert_close(layer.mean, part.running_mean)
    torch.testing.assert_close(layer.std.square() + layer.mean_spread.square(), part.running_var)
    torch.testing.assert_close(layer.mean_spread / MEAN_SPREAD, layer.std_spread / STD_SPREAD)
    assert len(batch_norm_statistics(model, None).layers) == 12


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), "no batch normalisation with running statistics"),
        (nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False)), "no batch normalisation with running"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), "folded into the weights"),
    ],
)
def test_networks_without_statistics_are_refused(net: nn.Module, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        batch_norm_statistics(Model(net.eval()))


def test_a_trained_network_whose_statistics_were_folded_is_refused(mobilenet: Model) -> None:
    with pytest.raises(BadInput, match="folded into the weights"):
        batch_norm_statistics(mobilenet)
