"""The digest of a network: of its weights as they are now, wherever and in whatever memory order they are."""

import copy
import io

import pytest
import torch
from torch import nn

from inverter import load_model
from inverter.isolation.weights_hash import sha256_of


def net(seed: int = 1) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(6, 2)).eval()


def test_a_network_that_was_trained_on_is_another() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model = load_model(plain, input_size=8)
    seen = {model.sha256}
    plain[0].weight.data.add_(1)  # leaves no trace in the tensor's version
    seen.add(model.sha256)
    plain[0].bias.detach().numpy()[0] = 3
    seen.add(model.sha256)
    plain.train()(torch.rand(2, 3, 8, 8))  # running statistics
    seen.add(model.sha256)
    assert len(seen) == 4


def test_it_is_of_names_shapes_types_and_bytes() -> None:
    def digest(**tensors: torch.Tensor) -> str:
        holder = nn.Module()
        for name, tensor in tensors.items():
            holder.register_buffer(name, tensor)
        return sha256_of(holder)

    zeros = torch.zeros(2, 3)
    digests = [
        digest(a=zeros),
        digest(b=zeros),
        digest(a=zeros.reshape(3, 2)),
        digest(a=zeros.int()),
        digest(a=zeros, b=torch.zeros(0)),
        digest(a=zeros + 1),
        digest(a=zeros.to_sparse()),
        digest(a=zeros.bfloat16()),
        digest(a=zeros.to(torch.complex64)),
    ]
    assert len(set(digests)) == len(digests)


def test_memory_order_gradients_and_mode_do_not_matter() -> None:
    one, other = net(), net().to(memory_format=torch.channels_last).requires_grad_(False).train()
    assert sha256_of(one) == sha256_of(other) == sha256_of(copy.deepcopy(one))
    assert sha256_of(one) != sha256_of(net(2))


def test_parameters_that_do_not_exist_yet_are_no_error() -> None:
    assert sha256_of(nn.LazyLinear(3)) != sha256_of(nn.Linear(2, 3))


def test_buffers_that_are_not_saved_count() -> None:
    one, other = nn.ReLU(), nn.ReLU()
    one.register_buffer("table", torch.zeros(3), persistent=False)
    other.register_buffer("table", torch.ones(3), persistent=False)
    assert sha256_of(one) != sha256_of(other)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_packed_weights_count() -> None:
    def quantised(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        made: nn.Module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3)), {nn.Linear})
        return made

    assert sha256_of(quantised(1)) == sha256_of(quantised(1)) != sha256_of(quantised(2))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("how", ["script", "freeze", "trace"])
def test_torchscript_counts_code_and_constants(how: str) -> None:
    def scripted(seed: int, *more: nn.Module) -> nn.Module:
        torch.manual_seed(seed)
        plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *more).eval()
        if how == "trace":
            return torch.jit.trace(plain, torch.rand(1, 3, 8, 8))
        script = torch.jit.script(plain)
        return torch.jit.freeze(script) if how == "freeze" else script

    one = load_model(scripted(1), input_size=8)
    digests = {one.sha256, load_model(scripted(2), input_size=8).sha256, sha256_of(scripted(1, nn.Sigmoid()))}
    assert len(digests) == 3
    saved = io.BytesIO()
    torch.jit.save(scripted(1), saved)
    assert sha256_of(torch.jit.load(io.BytesIO(saved.getvalue()))) == one.sha256  # names of classes are mangled anew
