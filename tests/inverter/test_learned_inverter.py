"""A learned inverter: it begins as the closed-form decoder, learns, and comes back from its file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from inverter import Model, encode, load_model
from inverter.decoder import Decoder
from inverter.inverter_training import Training, TrainingSettings, held_out_error, train
from inverter.learned_inverter import LearnedInverter, load_inverter, save_inverter

SETTINGS = TrainingSettings(steps=6, batch=2, size=32, width=8, depth=1)


@pytest.fixture
def model() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), nn.ReLU())
    return load_model(net, input_size=32)


def pictures(step: int) -> Tensor:
    small = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(step))
    return nn.functional.interpolate(small, (32, 32), mode="bicubic").clamp(0, 1)


def test_it_begins_as_the_closed_form_decoder(model: Model) -> None:
    inverter = Training.begin(model, "1", SETTINGS).inverter
    code = encode(model, pictures(100), "1")["1"]
    expected = Decoder.fit(model, "1", (32, 32))(code, (32, 32))
    assert torch.allclose(inverter.pictures(code, (32, 32)), expected, atol=2e-3)


def test_training_lowers_the_error_of_pictures_that_it_has_not_seen(model: Model) -> None:
    training = Training.begin(model, "1", TrainingSettings(steps=40, batch=4, rate=4e-3, size=32, width=16, depth=1))
    test = torch.cat([pictures(step) for step in range(1000, 1008)])
    before = held_out_error(model, training.inverter, test)
    for _ in train(model, training, lambda step: torch.cat([pictures(2 * step), pictures(2 * step + 1)])):
        pass
    after = held_out_error(model, training.inverter, test)
    assert after["relative_error"] < 0.9 * before["relative_error"]


def test_a_training_that_is_continued_ends_as_one_without_a_break(model: Model) -> None:
    through = Training.begin(model, "1", SETTINGS)
    for _ in train(model, through, pictures):
        pass
    first, second = (Training.begin(model, "1", SETTINGS) for _ in range(2))
    for _ in train(model, first, pictures):
        if first.step == 3:
            break
    second.restore(first.state())
    for _ in train(model, second, pictures):
        pass
    assert second.step == SETTINGS.steps
    for one, other in zip(through.inverter.parameters(), second.inverter.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_file_has_all_of_it(model: Model, tmp_path: Path) -> None:
    inverter = Training.begin(model, "1", SETTINGS).inverter
    inverter.about = {"steps": 3}
    save_inverter(tmp_path / "a.safetensors", inverter)
    known = load_inverter(tmp_path / "a.safetensors")
    assert (known.layer, known.sha256, known.about, known.stride) == ("1", model.sha256, {"steps": 3}, 4)
    code = encode(model, pictures(1), "1")["1"]
    assert torch.allclose(known.pictures(code, (32, 32)), inverter.pictures(code, (32, 32)), atol=0.01)
    known.check(model)
    with pytest.raises(ValueError, match=r"the inverter of layer '1' was trained for weights .*, not for module"):
        known.check(load_model(nn.Conv2d(3, 2, 3), input_size=32))
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:500])
    with pytest.raises(ValueError, match="damaged"):
        load_inverter(tmp_path / "b.safetensors")


def test_codes_of_any_size_become_pictures_of_the_requested_size() -> None:
    inverter = LearnedInverter(5, 8, width=8, depth=1)
    for positions, size in (((3, 4), (24, 32)), ((27, 27), (224, 224)), ((1, 1), (8, 8)), ((5, 4), (37, 30))):
        image = inverter.pictures(torch.rand(1, 5, *positions), size)
        assert image.shape == (1, 3, *size)
        assert 0 <= image.min() <= image.max() <= 1
    patches = LearnedInverter(5, 14, width=8, depth=1)  # no power of two
    assert patches.pictures(torch.rand(1, 5, 16, 16), (224, 224)).shape == (1, 3, 224, 224)
