"""Directions of other libraries: files in their documented forms give the latents that those libraries compute."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inverter import BadInput, Directions, MissingFile

COUNT, CHANNELS = 12, 6
X = torch.randn(40, CHANNELS, generator=torch.Generator().manual_seed(7))


def weights(*names: str) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    shapes = {"W_enc": (CHANNELS, COUNT), "W_dec": (COUNT, CHANNELS), "b_dec": (CHANNELS,)}
    return {
        name: torch.randn(shapes.get(name, (COUNT,)), generator=random) for name in ("W_enc", "W_dec", "b_dec", *names)
    }


def topk(values: Tensor, k: int) -> Tensor:
    best = values.topk(k)
    return torch.zeros_like(values).scatter(-1, best.indices, best.values.relu())


def sae_lens(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    folder.mkdir()
    (folder / "cfg.json").write_text(json.dumps({"d_in": CHANNELS, "d_sae": COUNT} | config))
    save_file(tensors, folder / "sae_weights.safetensors")
    return folder


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("norm", ["none", "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
def test_sae_lens(tmp_path: Path, architecture: str, norm: str, centred: bool) -> None:
    names = {"jumprelu": ["b_enc", "threshold"], "gated": ["b_gate", "b_mag", "r_mag"]}.get(architecture, ["b_enc"])
    w = weights(*names)
    config = {"architecture": architecture, "k": 3, "normalize_activations": norm, "apply_b_dec_to_input": centred}
    x = X
    if norm == "layer_norm":
        x = (X - X.mean(1, keepdim=True)) / (X.std(1, keepdim=True) + 1e-5)
    elif norm == "constant_norm_rescale":
        x = X * CHANNELS**0.5 / X.norm(dim=1, keepdim=True)
    x = x - w["b_dec"] * centred
    if architecture == "gated":
        expected = (x @ w["W_enc"] + w["b_gate"] > 0) * (x @ (w["W_enc"] * w["r_mag"].exp()) + w["b_mag"]).relu()
    else:
        before = x @ w["W_enc"] + w["b_enc"]
        expected = topk(before, 3) if architecture == "topk" else before.relu()
        if architecture == "jumprelu":
            expected = expected * (before > w["threshold"])
    directions = Directions.read(sae_lens(tmp_path / "sae", config, w), "blocks.6")
    assert torch.allclose(directions.encode(X), expected, atol=1e-5)
    assert directions.layer == "blocks.6" and 0 < float((expected != 0).float().mean()) < 1
    directions.save(tmp_path / "own.safetensors")
    assert torch.equal(Directions.read(tmp_path / "own.safetensors").encode(X), directions.encode(X))


def test_sae_lens_with_latents_by_the_decoders_length_and_before_version_6(tmp_path: Path) -> None:
    w = weights("b_enc")
    before, length = (X - w["b_dec"]) @ w["W_enc"] + w["b_enc"], w["W_dec"].norm(dim=1)
    new = {"architecture": "topk", "k": 2, "rescale_acts_by_decoder_norm": True, "metadata": {"hook_name": "mlp_out"}}
    directions = Directions.read(sae_lens(tmp_path / "new", new, w))
    assert torch.allclose(directions.encode(X), topk(before * length, 2), atol=1e-5)
    decoded = (topk(before * length, 2) / length) @ w["W_dec"] + w["b_dec"]
    assert torch.allclose(directions.reconstruct(X), decoded, atol=1e-5)
    assert "mlp_out" in directions.source
    old = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 4}}
    assert torch.allclose(Directions.read(sae_lens(tmp_path / "old", old, w)).encode(X), topk(before, 4), atol=1e-5)


def test_prisma(tmp_path: Path) -> None:
    w = weights("b_enc")
    config = {"d_in": CHANNELS, "activation_fn_str": "relu", "activation_fn_kwargs": {}, "hook_point_layer": 6}
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save(w, tmp_path / "weights.pt")
    expected = ((X - w["b_dec"]) @ w["W_enc"] + w["b_enc"]).relu()
    assert torch.allclose(Directions.read(tmp_path, "blocks.6").encode(X), expected, atol=1e-5)


def saev(path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    with path.open("wb") as file:
        file.write((json.dumps(header) + "\n").encode())
        torch.save(tensors, file)
    return path


def test_saev(tmp_path: Path) -> None:
    w = weights("b_enc")
    first = Directions.read(saev(tmp_path / "first.pt", {"d_vit": CHANNELS, "exp_factor": 2}, w))
    assert torch.allclose(first.encode(X), ((X - w["b_dec"]) @ w["W_enc"] + w["b_enc"]).relu(), atol=1e-5)
    cfg = {"d_vit": CHANNELS, "activation": {"cls": "TopK", "params": {"top_k": 3}}}
    second = Directions.read(saev(tmp_path / "second.pt", {"schema": 2, "cfg": cfg}, w))
    assert torch.allclose(second.encode(X), topk(X @ w["W_enc"] + w["b_enc"], 3), atol=1e-5)
    assert torch.allclose(second.reconstruct(X), second.encode(X) @ w["W_dec"] + w["b_dec"], atol=1e-5)


def overcomplete(**more: Tensor) -> dict[str, Tensor]:
    w = weights("b_enc")
    block = {"encoder.final_block.0.weight": w["W_enc"].T.contiguous(), "encoder.final_block.0.bias": w["b_enc"]}
    return {"dictionary._weights": w["W_dec"], "dictionary.multiplier": torch.tensor(0.3)} | block | more


def test_overcomplete(tmp_path: Path) -> None:
    w, path = weights("b_enc"), tmp_path / "sae.pt"
    before = X @ w["W_enc"] + w["b_enc"]
    torch.save(overcomplete(), path)
    top = Directions.read(path, "conv", k=3)
    assert torch.allclose(top.encode(X), topk(before, 3), atol=1e-5)
    rows = nn.functional.normalize(w["W_dec"], dim=1) * torch.tensor(0.3).exp()
    assert torch.allclose(top.reconstruct(X), topk(before, 3) @ rows, atol=1e-5)
    batch = Directions.read(path, "conv", threshold=0.4)
    assert torch.allclose(batch.encode(X), before * (before >= 0.4), atol=1e-5)
    with pytest.raises(BadInput, match=r"give k .TopKSAE., threshold"):
        Directions.read(path)
    torch.save(overcomplete(thresholds=torch.full((COUNT,), -1.0)), path)
    jump = Directions.read(path)
    assert torch.allclose(jump.encode(X), before * (before > torch.tensor(-1.0).exp()), atol=1e-5)


def test_overcomplete_with_a_batch_norm_and_without_a_linear_encoder(tmp_path: Path) -> None:
    norm = nn.BatchNorm1d(COUNT)
    norm(torch.randn(99, COUNT) * 3 + 1)
    own = {f"encoder.final_block.1.{name}": value for name, value in norm.state_dict().items()}
    torch.save(overcomplete(**own), tmp_path / "sae.pt")
    w = weights("b_enc")
    expected = norm.eval()(X @ w["W_enc"] + w["b_enc"]).relu()
    assert torch.allclose(Directions.read(tmp_path / "sae.pt", gate="relu").encode(X), expected, atol=1e-5)
    torch.save(overcomplete(**{"encoder.mlp_blocks.0.0.weight": torch.ones(6, 6)}), tmp_path / "deep.pt")
    with pytest.raises(BadInput, match="only linear encoders"):
        Directions.read(tmp_path / "deep.pt", gate="relu")


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "rows.pt", "rows.safetensors"])
def test_arrays(tmp_path: Path, name: str) -> None:
    rows, path = weights()["W_dec"], tmp_path / name
    {
        ".npy": lambda: np.save(path, rows.numpy()),
        ".npz": lambda: np.savez(path, components=rows.numpy(), mean=np.zeros(3)),
        ".pt": lambda: torch.save(rows, path),
        ".safetensors": lambda: save_file({"anything": rows}, path),
    }[path.suffix]()
    directions = Directions.read(path, "conv")
    assert torch.allclose(directions.encode(X), X @ rows.T, atol=1e-5)
    assert torch.equal(directions.decoder, Directions.read(rows.numpy(), "conv").decoder)
    assert Directions.read(rows[0], "conv").count == 1
    with pytest.raises(BadInput, match=r"is no file of inverter learn-directions: convert another library's once"):
        Directions.load(path)


def test_a_cav_of_captum(tmp_path: Path) -> None:
    rows = torch.randn(2, CHANNELS)
    stats = {"weights": rows, "classes": [1, 0], "accs": torch.tensor(0.9)}
    saved = {"concept_ids": [0, 1], "concept_names": ["striped", "random"], "layer": "inception4c", "stats": stats}
    torch.save(saved, tmp_path / "0-1-inception4c.pkl")
    directions = Directions.read(tmp_path / "0-1-inception4c.pkl")
    assert torch.equal(directions.decoder, rows)
    assert (directions.names, directions.layer) == (("random", "striped"), "inception4c")


def test_what_scikit_learn_fitted() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    vectors = X.numpy()
    for fitted in (decomposition.PCA(3, whiten=True), decomposition.FastICA(3, random_state=0)):
        latents = torch.from_numpy(fitted.fit_transform(vectors))
        directions = Directions.read(fitted, "conv")
        assert torch.allclose(directions.encode(X), latents, atol=1e-5)
        back = torch.from_numpy(fitted.inverse_transform(latents.numpy()))
        assert torch.allclose(directions.decode(latents), back, atol=1e-5)
    nmf = decomposition.NMF(3, tol=1e-7, max_iter=2000, random_state=0)
    latents = torch.from_numpy(nmf.fit(np.abs(vectors)).transform(np.abs(vectors)))
    assert torch.allclose(Directions.read(nmf, "conv").encode(X.abs()), latents, atol=1e-4)
    means = pytest.importorskip("sklearn.cluster").KMeans(4, n_init=1, random_state=0).fit(vectors)
    nearest = Directions.read(means, "conv").encode(X).argmax(1)
    assert torch.equal(nearest, torch.from_numpy(means.predict(vectors)).long())
    line = pytest.importorskip("sklearn.linear_model").LogisticRegression().fit(vectors, ["no", "yes"] * 20)
    directions = Directions.read(line, "conv")
    decided = torch.from_numpy(line.decision_function(vectors))[:, None].float()
    assert torch.allclose(directions.encode(X), decided, atol=1e-5) and directions.names == ("yes",)


def test_unknown_forms_are_one_line_that_lists_the_known(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.ones(3, 3, 2, 2), "conv.bias": torch.ones(3)}, tmp_path / "network.pt")
    with pytest.raises(BadInput, match=r"conv\.weight, conv\.bias.; known: a file of inverter.*SAELens.*saev.*array"):
        Directions.read(tmp_path / "network.pt")
    (tmp_path / "fitted.pkl").write_bytes(pickle.dumps(np.random.default_rng(0)))
    with pytest.raises(BadInput, match="is a pickle, and loading it could run anything"):
        Directions.read(tmp_path / "fitted.pkl")
    with pytest.raises(BadInput, match="a dict holds no directions that can be read; known"):
        Directions.read({})
    with pytest.raises(BadInput, match=r"folder .* holds no directions: expected cfg\.json"):
        Directions.read(tmp_path)
    with pytest.raises(MissingFile):
        Directions.read(tmp_path / "none")
    config = {"architecture": "temporal"}
    with pytest.raises(BadInput, match="'temporal' is none that can be read: standard, topk"):
        Directions.read(sae_lens(tmp_path / "sae", config, weights("b_enc")))
    partial = sae_lens(tmp_path / "partial", {"architecture": "jumprelu"}, weights("b_enc"))
    with pytest.raises(BadInput, match="lacks threshold"):
        Directions.read(partial)
