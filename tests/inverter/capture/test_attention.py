"""Attention of any network: its weights and the output of its heads, with gradients, and without the fast path."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inverter import load_model
from inverter.capture.attention import read_attention
from inverter.capture.attention_functions import explicit_attention
from inverter.isolation.frozen import frozen


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()


def vit(fused: bool) -> nn.Module:
    timm = pytest.importorskip("timm")
    net = timm.models.VisionTransformer(32, 8, embed_dim=24, depth=3, num_heads=3, num_classes=5)
    for block in net.blocks:
        block.attn.fused_attn = fused
    return net


class Encoder(nn.Module):
    """A transformer of torch's own layers; `heads` is even, so that the fast path would take it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 8, 8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x).flatten(2).mT).mean(1))


def hugging_face(attention: str) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    config._attn_implementation = attention
    return transformers.ViTModel(config, add_pooling_layer=False)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], list[str], tuple[int, ...]]] = {
    "fused": (lambda: vit(True), [f"blocks.{i}.attn" for i in range(3)], (2, 3, 17, 17)),
    "by hand": (lambda: vit(False), [f"blocks.{i}.attn" for i in range(3)], (2, 3, 17, 17)),
    "torch": (Encoder, [f"encoder.layers.{i}.self_attn" for i in range(2)], (2, 2, 16, 16)),
    "sdpa": (lambda: hugging_face("sdpa"), ["*"] * 2, (2, 2, 17, 17)),
    "eager": (lambda: hugging_face("eager"), ["*"] * 2, (2, 2, 17, 17)),
}


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": torch.ones(5, 5, dtype=torch.bool).tril()},
        {"attn_mask": torch.linspace(-1, 1, 25).view(5, 5)},
        {"enable_gqa": True},
    ],
    ids=["plain", "causal", "scale", "bools", "bias", "shared"],
)
def test_operation_by_operation_it_is_the_fused_kernel(options: dict[str, object]) -> None:
    random = torch.Generator().manual_seed(0)
    heads = 2 if "enable_gqa" in options else 4
    query, key, value = (torch.randn(2, count, 5, 8, generator=random) for count in (4, heads, heads))
    weights, output = explicit_attention(query, key, value, **options)  # type: ignore[arg-type]
    expected = F.scaled_dot_product_attention(query, key, value, **options)  # type: ignore[arg-type]
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 5))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_read_and_the_output_stays(name: str, pictures: Tensor) -> None:
    make, layers, shape = NETWORKS[name]
    net = seeded(make)
    with frozen(net), read_attention(net) as seen:
        expected, found = net(pictures), list(seen)
    with frozen(net):
        plain = net(pictures)
    for one, other in zip(_tensors(expected), _tensors(plain), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert [each.layer if expected != "*" else "*" for each, expected in zip(found, layers, strict=True)] == layers
    for each in found:
        assert each.weights.shape == shape
        torch.testing.assert_close(each.weights.sum(-1), torch.ones(shape[:3]))
        assert each.output is not None
        assert each.output.shape[:3] == shape[:3]
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())


def _tensors(output: object) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else [each for each in output.values() if each is not None]  # type: ignore[attr-defined]


def test_the_weights_are_those_that_a_network_itself_returns(pictures: Tensor) -> None:
    net = seeded(lambda: hugging_face("eager"))
    with frozen(net), read_attention(net) as seen:
        own = net(pictures, output_attentions=True).attentions
        for each, expected in zip(seen, own, strict=True):
            torch.testing.assert_close(each.weights, expected)


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head_attention_is_read_either_way(need_weights: bool) -> None:
    layer = seeded(lambda: nn.MultiheadAttention(12, 3, batch_first=True))
    tokens = torch.rand(2, 7, 12, generator=torch.Generator().manual_seed(0))
    with frozen(layer), read_attention(layer) as seen:
        output, _ = layer(tokens, tokens, tokens, need_weights=need_weights)
        ((found,), batch) = list(seen), seen.batch
    plain, weights = layer(tokens, tokens, tokens, average_attn_weights=False)
    torch.testing.assert_close(output, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.weights, weights, rtol=1e-4, atol=1e-5)
    assert batch == 2
    assert found.output is not None
    merged = found.output.transpose(1, 2).flatten(2)
    torch.testing.assert_close(F.linear(merged, layer.out_proj.weight, layer.out_proj.bias), plain)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_the_weights(name: str, pictures: Tensor) -> None:
    net = seeded(NETWORKS[name][0])
    with frozen(net), read_attention(net) as seen:
        score = _tensors(net(pictures.requires_grad_()))[0].square().sum()
        weights = [each.weights for each in seen]
        gradients = torch.autograd.grad(score, [*weights, pictures])
    assert all(given.shape == each.shape and given.any() for given, each in zip(gradients, weights, strict=False))
    assert gradients[-1].any()


def test_the_head_of_a_linear_score_is_its_gradient_by_hand() -> None:
    layer = seeded(lambda: nn.MultiheadAttention(8, 2, batch_first=True))
    tokens = torch.rand(1, 5, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    direction = torch.linspace(-1, 1, 8)
    with frozen(layer), read_attention(layer) as seen:
        score = (layer(tokens, tokens, tokens)[0] @ direction).sum()
        (found,) = seen
        (gradient,) = torch.autograd.grad(score, found.weights)
    value = F.linear(tokens, layer.in_proj_weight[16:], layer.in_proj_bias[16:]).detach()
    through = (direction @ layer.out_proj.weight).detach().view(2, 4)  # of each head's channels
    expected = torch.einsum("nhd,hd->hn", value[0].view(5, 2, 4), through)[None, :, None].expand(1, 2, 5, 5)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_no_fast_path_hides_the_layers_of_an_encoder(pictures: Tensor) -> None:
    net, names = seeded(Encoder), ["encoder.layers.1.linear1", "encoder.layers.0.norm1", "encoder.layers.1.self_attn"]
    model = load_model(net, normalize="none", input_size=32, device="cpu")
    torch.backends.mha.set_fastpath_enabled(True)
    with torch.no_grad(), model.capture(names) as capture:
        assert not torch.backends.mha.get_fastpath_enabled()
        seen = capture(pictures)
    assert torch.backends.mha.get_fastpath_enabled()
    assert set(seen) == set(names)
    assert seen["encoder.layers.1.linear1"].shape == (2, 32, 4, 4)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with model.capture([""]) as capture:
            capture(pictures)
        assert not torch.backends.mha.get_fastpath_enabled()  # as the user had it
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


def test_the_address_of_one_attention_is_asked_for(pictures: Tensor) -> None:
    net = seeded(lambda: vit(True))
    with frozen(net), read_attention(net) as seen:
        net(pictures)
        assert seen.of("blocks.1") is seen.of("blocks.1.attn")
        assert seen.tensor("blocks.1.attn", 0, "head.2").shape == (2, 17, 8)
        with pytest.raises(ValueError, match=r"3 attentions run in the network.*blocks\.0\.attn, blocks\.1\.attn"):
            seen.of("")
        with pytest.raises(ValueError, match=r"no attention is computed in layer 'head'.*blocks\.0\.attn"):
            seen.of("head")
        with pytest.raises(IndexError, match=r"head 3 is out of range: layer 'blocks\.0' has 3 heads"):
            seen.tensor("blocks.0", 0, "head.3")


def test_attention_within_windows_is_told_apart() -> None:
    timm = pytest.importorskip("timm")
    net = seeded(
        lambda: timm.models.SwinTransformer(
            32, 4, embed_dim=8, depths=(1,), num_heads=(2,), window_size=4, num_classes=3, drop_path_rate=0
        )
    )
    with frozen(net), read_attention(net) as seen:
        net(torch.rand(2, 3, 32, 32))
        assert next(iter(seen)).weights.shape == (8, 2, 16, 16)
        with pytest.raises(ValueError, match="within 4 windows of 16 places each"):
            seen.tensor(next(iter(seen)).layer, 0, "attention")


def test_a_softmax_that_averages_no_values_is_no_attention() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(1), nn.Flatten(), nn.Linear(144, 6), nn.Softmax(-1))
    with frozen(net.eval()), read_attention(net) as seen:
        net(torch.rand(2, 3, 8, 8))
        assert len(seen) == 0
