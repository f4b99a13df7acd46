"""Attribution between units: activation times gradient, against gradients taken one by one."""

import torch
from torch import Tensor, nn

from inverter import Model
from recipes.circuits.attributions import centred, input_attributions, output_attributions


class _Tokens(nn.Module):
    """Maps as tokens, with attention between them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.patch(x)
        tokens = self.norm(maps.flatten(2).mT)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.last(mixed + tokens).mT.unflatten(2, maps.shape[2:])


def network() -> Model:
    torch.manual_seed(0)
    return Model(_Tokens().eval(), input_size=(16, 16))


def images() -> Tensor:
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def test_inputs_are_activation_times_gradient_of_the_unit() -> None:
    model, pictures = network(), images()
    rows = [[(4, (0, 0))], [(0, (3, 2))], [(1, None), (1, (0, 3))], [(2, (1, 1))], [(3, (2, 0))]]
    found = list(input_attributions(model, zip(pictures, rows, strict=True), "", "patch"))
    assert [len(each) for each in found] == [1, 1, 2, 1, 1]
    net: _Tokens = model.module  # type: ignore[assignment]
    maps = net.patch(model.normalize(pictures)).detach().requires_grad_()
    with torch.enable_grad():
        tokens = net.norm(maps.flatten(2).mT)
        out = net.last(net.attention(tokens, tokens, tokens, need_weights=False)[0] + tokens).mT.unflatten(2, (4, 4))
        chosen = out[range(5), [4, 0, 1, 2, 3], [0, 3, 2, 1, 2], [0, 2, 2, 1, 0]].sum()
    (gradient,) = torch.autograd.grad(chosen, maps)
    torch.testing.assert_close(torch.stack([each[0] for each in found]), (maps * gradient).detach())


def test_outputs_are_those_of_each_later_unit_at_once() -> None:
    model, pictures = network(), images()
    together = output_attributions(model, pictures, "patch", 3, "")
    net: _Tokens = model.module  # type: ignore[assignment]
    maps = net.patch(model.normalize(pictures)).detach().requires_grad_()
    tokens = net.norm(maps.flatten(2).mT)
    out = net.last(net.attention(tokens, tokens, tokens, need_weights=False)[0] + tokens)
    alone = [torch.autograd.grad(out[..., k].sum(), maps, retain_graph=True)[0] for k in range(5)]
    expected = torch.stack([(maps[:, 3] * each[:, 3]).sum() / 5 for each in alone]).detach()
    torch.testing.assert_close(together, expected)


def test_windows_lie_about_their_units() -> None:
    maps = torch.arange(36.0).view(1, 1, 6, 6).repeat(3, 1, 1, 1)
    found = centred(maps, [(0, 0), (1, 2), None], (3, 3))
    assert found.shape == (3, 1, 7, 7)
    assert found[:, 0, 3, 3].tolist() == [7, 23, 21]
    assert found[0, 0, 0].tolist() == [0] * 7, "beyond the map"
