"""The units of attention: values on plain tensors, and of a transformer by hand."""

import pytest
import torch

from inverter import Model, evaluate, load_model
from objectives import Activations, attention, attention_head, channel
from tests.recipes.attribution.conftest import TinyTransformer


@pytest.fixture(scope="module")
def model() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return load_model(TinyTransformer().eval(), normalize="none", input_size=16, device="cpu")


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))[:, :, :, 4:20]


def by_hand(model: Model, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention weights (B, 3, 17, 17) and head outputs (B, 3, 17, 4) of the second layer."""
    net = model.module
    with torch.no_grad():
        x = net.blocks[1].norm1(net.blocks[0](net.embedded(pictures)))
        query, key, value = net.blocks[1].attn.qkv(x).unflatten(2, (3, 3, 4)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.mT / 2).softmax(-1)
    return weights, weights @ value


def test_places_and_tokens_are_those_of_the_weights(model: Model, pictures: torch.Tensor) -> None:
    weights, _ = by_hand(model, pictures)
    for head, token, to, start, end in (
        (2, "cls", (1, 3), 0, 1 + 7),
        (0, (3, 0), (2, 2), 1 + 12, 1 + 10),
        (1, 5, (0, 1), 5, 1 + 1),
        (1, "cls", None, 0, 1 + 10),
        (1, "cls", "cls", 0, 0),
        (1, 3, 16, 3, 16),
    ):
        found = evaluate(model, attention("blocks.1", head, token, to), pictures)
        torch.testing.assert_close(found, weights[:, head, start, end], rtol=1e-4, atol=1e-6)
    several = evaluate(model, attention("blocks.1", [2, 0], "cls", (1, 3)), pictures)
    torch.testing.assert_close(several, weights[[0, 1], [2, 0], 0, 8], rtol=1e-4, atol=1e-6)


def test_a_heads_output_is_its_slice_of_the_input_of_the_projection(model: Model, pictures: torch.Tensor) -> None:
    _, outputs = by_hand(model, pictures)
    patches = outputs[:, :, 1:]
    found = evaluate(model, attention_head("blocks.1", [1, 2]), pictures)
    torch.testing.assert_close(found, patches[[0, 1], [1, 2]].square().mean((1, 2)), rtol=1e-4, atol=1e-6)
    found = evaluate(model, attention_head("blocks.1", 2, channel=3), pictures)
    torch.testing.assert_close(found, patches[:, 2, :, 3].mean(1), rtol=1e-4, atol=1e-6)
    projected = evaluate(model, channel("blocks.1.attn.proj:in", 2 * 4 + 3), pictures)
    torch.testing.assert_close(found, projected, rtol=1e-4, atol=1e-6)


def test_gradients_reach_the_picture(model: Model, pictures: torch.Tensor) -> None:
    for objective in (attention("blocks.1", 1, (0, 0), (3, 3)), attention_head("blocks.1", 1)):
        with model.capture(objective.reads) as capture:
            leaf = pictures.clone().requires_grad_()
            objective.score(Activations(capture(model.normalize(leaf)), leaf)).sum().backward()
        assert leaf.grad is not None
        assert leaf.grad.any()


def test_labels_name_head_and_places() -> None:
    assert attention("a.b", [0, 3], "cls", (1, 2)).labels == ("attention(a.b:0@cls>1,2)", "attention(a.b:3@cls>1,2)")
    assert attention("a", 1, (0, 4)).label(0) == "attention(a:1@0,4>centre)"
    assert attention_head("a", [2, 5], 7).labels == ("attention_head(a:2:7)", "attention_head(a:5:7)")


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda: attention("blocks.1", 3), "channel 3 is out of range: layer 'blocks.1:attention@cls' has 3 channels"),
        (lambda: attention("blocks.1", 0, (4, 0), (0, 0)), r"token 4,0 is out of range: .* 4 rows and 4 columns"),
        (lambda: attention("blocks.1", 0, 17, (0, 0)), "token 17 is out of range: layer 'blocks.1' has 17 tokens"),
        (lambda: attention("blocks.1", 0, "clf", (0, 0)), "unknown token 'clf'.*expected cls, the index of a token"),
        (lambda: attention("blocks.1", 0, (0, 0), "cls"), "expected cls or the index of a token, got token=.0, 0."),
        (lambda: attention("blocks.1", 0, "cls", (4, 4)), "y=4 is out of range"),
        (lambda: attention("blocks", 0), r"3 attentions run in layer 'blocks'.*blocks\.0"),
        (lambda: attention("head", 0), "no attention is computed in layer 'head'"),
        (lambda: attention_head("blocks.1", 3), "head 3 is out of range: layer 'blocks.1' has 3 heads"),
        (lambda: attention_head("blocks.1", [0, 1, 2]), "3 targets for a batch of 2 images"),
    ],
)
def test_bad_units_are_reported_in_one_line(
    objective: object, message: str, model: Model, pictures: torch.Tensor
) -> None:
    with pytest.raises((ValueError, LookupError), match=message) as caught:
        evaluate(model, objective(), pictures)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
