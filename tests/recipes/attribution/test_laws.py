"""Properties that hold for every method."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from inverter import Model
from objectives import Activations, Objective, channel, logit
from recipes.attribution import explain
from recipes.attribution.api import target_scores
from recipes.attribution.measures.judge import Judge
from recipes.attribution.method import DECLARED, method
from recipes.attribution.methods.extremal_channels import activation_diff, channel_masks
from recipes.attribution.methods.spatial import channel_attribution
from recipes.attribution.registry import FAMILIES, NAMES, MethodChoice, get_method, list_methods
from recipes.attribution.scoring.forward import select_targets
from recipes.options.targets import Target

CLASSES = [4, 0, 2]
Quick = Callable[[str], str]
FOR_NETWORKS = tuple(name for name in NAMES if not get_method(name).linear and not get_method(name).attention)
"""Methods that work with nonlinear scores, of any network. `test_tokens.py` has those that need attention."""


def test_the_registry_names_what_the_families_declare() -> None:
    for name in NAMES:
        assert get_method(name).name == name
    declared = {name: method.function.__module__.rpartition(".")[2] for name, method in DECLARED.items()}
    assert declared == {name: family for family, names in FAMILIES.items() for name in names}
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_options_have_defaults_and_a_sentence_each(name: str) -> None:
    declared = get_method(name)
    for key, parameter in declared.options.items():
        assert parameter.default is not parameter.empty, key
        assert declared.help[key]


@pytest.mark.parametrize("name", FOR_NETWORKS)
def test_a_map_for_each_picture_at_its_size(name: str, tiny: Model, pictures: Tensor, quick: Quick) -> None:
    maps = explain(tiny, pictures, logit(CLASSES), quick(name))
    assert maps.shape == (3, 16, 16)
    assert maps.dtype == torch.float32
    assert maps.isfinite().all()
    assert maps.any()
    if not get_method(name).signed:
        assert maps.min() >= 0


@pytest.mark.parametrize("name", FOR_NETWORKS)
def test_a_map_depends_on_its_picture_alone(name: str, tiny: Model, pictures: Tensor, quick: Quick) -> None:
    together = explain(tiny, pictures, logit(CLASSES), quick(name), seed=5)
    in_parts = explain(tiny, pictures, logit(CLASSES), quick(name), seed=5, batch_size=2)
    torch.testing.assert_close(together, in_parts, rtol=1e-3, atol=1e-5 * float(together.abs().max()))
    for picture, target, expected in zip(pictures, CLASSES, together, strict=True):
        (alone,) = explain(tiny, picture[None], logit(target), quick(name), seed=5)
        torch.testing.assert_close(alone, expected, rtol=1e-3, atol=1e-5 * float(together.abs().max()))


@pytest.mark.parametrize("name", FOR_NETWORKS)
def test_the_users_network_and_random_state_stay_as_they_were(
    name: str, tiny: Model, pictures: Tensor, snapshot: Callable[[nn.Module], dict[str, object]], quick: Quick
) -> None:
    tiny.module.train()
    before, random = snapshot(tiny.module), torch.get_rng_state()
    with torch.no_grad():  # as users often call it
        explain(tiny, pictures, logit(1), quick(name))
    assert snapshot(tiny.module) == before
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("name", FOR_NETWORKS)
def test_any_objective_may_be_the_target(name: str, tiny: Model, pictures: Tensor, quick: Quick) -> None:
    if get_method(name).pooled:
        pytest.skip("its weights are those of the network's last layer")
    inner = explain(tiny, pictures, channel("relu#1", 2) - 0.5 * channel("stem", 1), quick(name))
    assert inner.shape == (3, 16, 16)
    assert inner.any()


@pytest.mark.parametrize("name", FOR_NETWORKS)
def test_no_more_of_the_network_runs_than_the_target_reads(
    name: str, tiny: Model, pictures: Tensor, quick: Quick
) -> None:
    if get_method(name).pooled:
        pytest.skip("it reads the last layer")

    def fail(*_: object) -> None:
        raise AssertionError("the head ran")

    with tiny.module.head.register_forward_hook(fail):
        explain(tiny, pictures, channel("mix", 2), quick(name))


def test_a_target_may_look_at_the_picture_itself(tiny: Model, pictures: Tensor) -> None:
    red = Objective("red", (), lambda seen: seen.image[:, 0].mean((1, 2)))
    (heat,) = explain(tiny, pictures[:1], red, "saliency")
    torch.testing.assert_close(heat, torch.full((16, 16), 1 / 256))


def test_rows_of_selected_targets_refer_to_the_full_batch() -> None:
    def seen(*rows: int, targets: list[int] | None = None) -> Activations:
        return Activations(
            {"": torch.eye(4)[list(rows)]}, torch.zeros(1), None if targets is None else torch.tensor(targets)
        )

    part = select_targets(logit([3, 2, 1, 0]), torch.tensor([2, 0]))
    assert part.labels == ("logit(1)", "logit(3)")
    assert part.score(seen(0, 1)).tolist() == [0.0, 0.0]
    assert part.score(seen(1, 3)).tolist() == [1.0, 1.0]
    assert part.score(seen(3, 3, 1, targets=[1, 0, 0])).tolist() == [1.0, 0.0, 1.0]
    assert select_targets(logit(0), torch.tensor([2])).score(seen(0, 1)).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "grad-cem"}, "unknown method 'grad-cem'; did you mean .*grad-cam"),
        ({"method": "grad-cam:rely=true"}, "no option 'rely'; did you mean relu"),
        ({"method": "grad-cam:relu=.5"}, "relu must be of type bool, got 0.5"),
        ({"method": "saliency:x"}, "'x' is not OPTION=VALUE"),
        ({"layer": "bode"}, "no layer 'bode'.*body"),
        ({"layer": "pool"}, "layer 'pool' outputs a tensor of shape .*expected maps"),
        ({"layer": "head"}, "layer 'head' outputs"),
        ({"target": "logit:9"}, "9 is out of range"),
        ({"target": logit(9)}, "9 is out of range"),
        ({"target": channel("stem", 1), "layer": "mix"}, "does not depend on layer 'mix'"),
    ],
)
def test_bad_input_is_reported(options: dict[str, str], message: str, tiny: Model, pictures: Tensor) -> None:
    with pytest.raises((ValueError, LookupError), match=message) as caught:
        explain(tiny, pictures, **({"target": logit(0), "method": "grad-cam"} | options))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_pictures_of_another_shape_are_refused(tiny: Model) -> None:
    with pytest.raises(ValueError, match=r"expected images \(B, 3, H, W\)"):
        explain(tiny, torch.rand(3, 16, 16), logit(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * 255, r"got values from .* to 2\d\d: divide them by 255"),
        (lambda x: (x * 255).byte(), r"got uint8: use images.float\(\) / 255"),
        (lambda x: x > 0.5, "got bool"),
        (lambda x: (x - 0.45) / 0.225, "give them as they were before"),
        (lambda x: x * 1.1, r"use images.clamp\(0, 1\)"),
        (lambda x: x * torch.nan, "not finite"),
        (lambda x: torch.where(x > 0.9, torch.inf, x), "not finite"),
        (lambda x: x[:0], "got shape"),
    ],
)
def test_values_outside_of_the_unit_interval_are_refused(
    change: Callable[[Tensor], Tensor], message: str, tiny: Model, pictures: Tensor
) -> None:
    calls: list[Callable[[Tensor], object]] = [
        *(lambda x, name=name: explain(tiny, x, logit(0), name) for name in ("grad-cam", "saliency", "lrp", "rise")),
        lambda x: target_scores(tiny, logit(0), x),
        lambda x: channel_attribution(tiny, x, logit(0), "mix"),
        lambda x: channel_masks(tiny, x, logit(0), "mix", [0.2], 1),
        lambda x: activation_diff(tiny, x, "mix", torch.ones(3, 8)),
        lambda x: Judge(tiny, x, Target.parse("logit:1"))(MethodChoice("saliency")),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message) as caught:
            call(change(pictures))
        assert "\n" not in str(caught.value)


def test_values_may_leave_the_unit_interval_by_rounding(tiny: Model, pictures: Tensor) -> None:
    assert explain(tiny, pictures / pictures.max() + 5e-5, logit(0), "saliency").any()
    assert explain(tiny, pictures.double(), logit(0), "saliency").any()


def test_methods_are_listed_by_pattern() -> None:
    assert list_methods() == sorted(NAMES)
    assert list_methods("grad-cam++") == ["grad-cam++", "smooth-grad-cam++"]
    assert list_methods("*-cam") == sorted(name for name in NAMES if name.endswith("-cam"))
    assert list_methods("l?me") == ["lime"]
    assert list_methods("nowhere") == []


def test_listing_methods_does_not_import_torch() -> None:
    code = "import sys; from recipes.attribution.registry import list_methods as f; f(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_choice_of_words_is_checked_as_text(tiny: Model, pictures: Tensor) -> None:
    assert get_method("rise").option_type("baseline") == "str"
    assert get_method("extremal-perturbation").option_type("areas") == "Sequence[float]"
    with pytest.raises(ValueError, match="baseline must be of type str, got 3"):
        explain(tiny, pictures, logit(0), "rise:baseline=3")


def test_undescribed_options_are_a_fault_of_the_method() -> None:
    def function(model: Model, images: Tensor, target: Objective, *, layer: str, seed: int, steps: int = 1) -> Tensor:
        return images[:, 0]

    with pytest.raises(TypeError, match="method half: help must describe exactly its options: steps"):
        method("half", paper="none")(function)
    assert "half" not in DECLARED


def test_a_choice_is_written_as_it_is_read() -> None:
    assert str(MethodChoice.parse(" grad-cam : relu = false ")) == "grad-cam:relu=false"
    assert MethodChoice.parse("saliency") == MethodChoice("saliency")
