"""The bundled network and generator match their records, in content and in accuracy."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from inverter.sources import builtin
from priors import generator_net
from tools.bundled.corruptions import CORRUPTIONS
from tools.bundled.lessons import target
from tools.bundled.train_generator import judge
from tools.bundled.train_network import accuracy, measure

LIMIT = 4_000_000


@pytest.mark.parametrize("weights", [builtin.WEIGHTS, generator_net.WEIGHTS], ids=["network", "generator"])
def test_files_are_the_recorded_ones(weights: Path) -> None:
    record = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == record["sha256"]
    assert weights.stat().st_size == record["bytes"] <= LIMIT


def test_the_network_is_small_and_plain() -> None:
    network = builtin.load_builtin()
    assert sum(p.numel() for p in network.parameters()) <= 1_500_000
    assert not network.training and not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    features = network.features(torch.zeros(1, 3, 128, 128))
    assert features.shape == (1, 256, 8, 8)  # read by class activation maps, before the pool and the linear layer


def test_the_network_knows_fresh_pictures_and_stands_damage_it_never_saw() -> None:
    network = builtin.load_builtin()
    full, *damaged = measure(network, 224, damage=(None, *CORRUPTIONS.values()))
    assert accuracy(full) >= 0.95
    assert accuracy(measure(network, 112, clutter=0.0)[0]) >= 0.95
    found = dict(zip(CORRUPTIONS, map(accuracy, damaged), strict=True))
    assert min(found.values()) >= 0.8, found


def test_the_generator_draws_every_class_confidently() -> None:
    found = judge(generator_net.load_generator(), builtin.load_builtin(), count=500)
    assert found["confident"] >= 0.8 and found["coverage"] >= 0.9, found


def test_the_generator_draws_what_the_world_draws() -> None:
    latent = torch.randn(64, 80, generator=torch.Generator().manual_seed(8))
    with torch.inference_mode():
        made, (drawn, _) = generator_net.load_generator()(latent), target(latent)
    assert made.shape == (64, 3, 64, 64) and float(made.min()) >= 0 and float(made.max()) <= 1
    assert float((made - drawn).abs().mean()) < 0.08
    assert float(made.std(0).mean()) > 0.15, "samples are all alike"


def test_every_class_number_of_a_latent_has_a_gradient() -> None:
    generator, network = generator_net.load_generator(), builtin.load_builtin()
    latent = torch.randn(4, 80, generator=torch.Generator().manual_seed(9)).requires_grad_()
    network(torch.nn.functional.interpolate(generator(latent), size=128) * 2 - 1)[:, 21].sum().backward()
    assert latent.grad is not None and (latent.grad[:, :56] != 0).all()


def test_the_generator_refuses_other_latents() -> None:
    with pytest.raises(ValueError, match=r"expected latents \(B, 80\)"):
        generator_net.BundledGenerator()(torch.zeros(2, 3))
