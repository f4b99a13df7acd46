"""A set of directions: its latents, its reconstruction, its file, and what it refuses."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inverter import BadInput, Directions, MissingFile

COUNT, CHANNELS = 5, 3


def some(gate: str = "relu", **others: object) -> Directions:
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(2, COUNT, CHANNELS, generator=random)
    given_ = {
        "encoder": rows[1],
        "encoder_bias": torch.arange(5.0) / 10,
        "center": torch.ones(3),
        "scale": torch.tensor([1, 2, 4]),
    }
    return Directions("conv", rows[0], gate=gate, **(given_ | others))  # type: ignore[arg-type]


def test_latents_are_what_the_definition_says() -> None:
    directions, x = some(), torch.randn(7, CHANNELS)
    assert directions.encoder is not None and directions.encoder_bias is not None
    by_hand = ((x - 1) / torch.tensor([1, 2, 4])) @ directions.encoder.T + directions.encoder_bias
    assert torch.allclose(directions.encode(x), by_hand.relu(), atol=1e-6)
    z = by_hand.relu()
    assert torch.allclose(directions.decode(z), z @ directions.decoder * torch.tensor([1, 2, 4]) + 1, atol=1e-6)


@pytest.mark.parametrize(
    ("gate", "others"),
    [("none", {}), ("relu", {}), ("topk", {"k": 2}), ("jumprelu", {"thresholds": torch.full((5,), 0.3)})],
)
def test_maps_have_the_latents_of_their_vectors(gate: str, others: dict[str, object]) -> None:
    directions, maps = some(gate, **others), torch.randn(2, CHANNELS, 4, 6)
    vectors = directions.encode(maps.permute(0, 2, 3, 1))
    assert torch.allclose(directions.encode(maps, 1), vectors.permute(0, 3, 1, 2), atol=1e-6)
    assert torch.allclose(
        directions.decode(directions.encode(maps, 1), 1).permute(0, 2, 3, 1), directions.decode(vectors), atol=1e-5
    )


@given(k=st.integers(1, COUNT), seed=st.integers(0, 99))
def test_topk_keeps_the_largest(k: int, seed: int) -> None:
    x = torch.randn(4, CHANNELS, generator=torch.Generator().manual_seed(seed))
    directions = some("topk", k=k)
    before, after = directions.preactivations(x), directions.encode(x)
    for old, new in zip(before, after, strict=True):
        kept = old.topk(k).indices
        assert torch.equal(new[kept], old[kept].relu())
        assert int((new != 0).sum()) <= k


def test_jumprelu_leaves_values_as_they_are_above_their_threshold() -> None:
    directions, x = some("jumprelu", thresholds=torch.full((5,), 0.5)), torch.randn(9, CHANNELS)
    before = directions.preactivations(x)
    assert torch.equal(directions.encode(x), before * (before > 0.5))


def test_nnls_finds_the_best_reconstruction_without_a_negative_latent() -> None:
    random = torch.Generator().manual_seed(0)
    directions = Directions("conv", torch.rand(3, 6, generator=random), gate="nnls")
    truth = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.5, 0.0]])
    assert torch.allclose(directions.encode(directions.decode(truth)), truth, atol=1e-3)
    z = directions.encode(x := torch.randn(9, 6, generator=random)).requires_grad_()
    (directions.decode(z) - x).square().sum().backward()
    assert z.grad is not None and bool((z >= 0).all())
    assert float(z.grad[z > 0].abs().max()) < 1e-3 and float(z.grad.min()) > -1e-3  # Karush-Kuhn-Tucker


def test_without_an_encoder_latents_are_dot_products() -> None:
    rows = torch.randn(2, 3)
    assert torch.allclose(Directions("conv", rows).encode(torch.eye(3)), rows.T)


def test_a_file_has_exactly_the_same_numbers(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sae.safetensors"
    saved = some("topk", k=2, names=list("abcde"), method="sae", model="builtin", sha256="ab", source="400 photographs")
    saved.save(path)
    loaded = Directions.load(path)
    for name in saved.__dataclass_fields__:
        old, new = getattr(saved, name), getattr(loaded, name)
        assert torch.equal(old, new) if isinstance(old, torch.Tensor) else old == new, name
    assert [file.name for file in path.parent.iterdir()] == ["sae.safetensors"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"encoder": torch.ones(5, 2)}, r"encoder .* \(5, 2\), expected \(5, 3\)"),
        ({"center": torch.full((3,), torch.nan)}, "center is not finite"),
        ({"scale": torch.zeros(3)}, "above 0"),
        ({"gate": "sigmoid"}, "unknown gate 'sigmoid'; known: none, relu"),
        ({"gate": "topk"}, "needs a k from 1 to 5, got None"),
        ({"gate": "jumprelu"}, "needs thresholds"),
        ({"input_norm": "batch"}, "unknown input_norm 'batch'; known: none, layer, length"),
        ({"names": ["a"]}, "1 name for 5 directions"),
    ],
)
def test_what_does_not_fit_is_refused(others: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        some(**others)  # type: ignore[arg-type]


def test_other_vectors_networks_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"directions of 3 channels .layer 'conv'., but the activations have 4"):
        some().encode(torch.ones(1, 4))
    with pytest.raises(BadInput, match="directions of a with weights 11, not of b with 22"):
        some(model="a", sha256="11").check("b", "22")
    some(model="a").check("b", "22")
    with pytest.raises(MissingFile):
        Directions.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(BadInput, match=r"text\.safetensors is damaged"):
        Directions.load(tmp_path / "text.safetensors")
