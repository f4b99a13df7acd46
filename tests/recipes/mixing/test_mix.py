"""Mixtures: terms as they are written, what a picture is made of, and that one of a trained network shows both."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from inverter import InverterError, Model, load_model
from recipes import Mix
from recipes.mixing.terms import LARGEST, Term, reached
from recipes.runner.report import Report

BODY = "body/1", "body/3"


@pytest.fixture
def tiny(tiny_net: nn.Module) -> Model:
    model = load_model(tiny_net, input_size=12)
    model.categories = ("ant", "bee", "cat", "dog", "elk")
    return model


def mix(model: Any, out: Path, *terms: str, **options: Any) -> Report:
    known: dict[str, Any] = {"precision": "float32", "steps": 4}
    return Mix(model=model, term=terms, out=str(out), **(known | options)).run(progress=None)


def terms_of(report: Report) -> list[dict[str, Any]]:
    return report.records[0].metrics["terms"]


def pixels(report: Report) -> list[np.ndarray]:
    return [np.asarray(Image.open(report.out / record.file)) for record in report.records]


@given(
    st.from_regex(r"[a-z]\w*(\.\w+)*(#[0-9])?", fullmatch=True),
    st.one_of(st.just(""), st.integers(0, 10**6).map(str)),
    st.floats(-LARGEST, LARGEST),
)
def test_a_term_is_read_as_it_is_written(layer: str, which: str, weight: float) -> None:
    term = Term(layer, which, weight)
    assert Term.parse(str(term)) == term
    assert Term.parse(term.unit) == Term(layer, which, 1.0)


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ([], "term: got none; expected LAYER/CHANNEL=WEIGHT"),
        (["body/1=0", "body=0"], "weights of 0 alone"),
        ([3], "expected texts"),
        (["body/1=x"], "term 'body/1=x': expected LAYER/CHANNEL=WEIGHT"),
        (["body/1=nan"], "with a weight from"),
        (["body/1=inf"], "with a weight from"),
        (["=1"], "term '=1'"),
        (["body/1=1", "body/1=2"], "term body/1 is given twice"),
        (["body/99=1"], "channel 99 is out of range: layer 'body' has 8"),
        (["bodi/1=1"], "bodi"),
        (["output/cow=1"], "named 'cow'"),
        (["output/0-1=1"], "expected one class"),
        (["output/9=1"], "out of range"),
    ],
)
def test_a_bad_term_is_refused_with_what_was_given(tiny: Model, tmp_path: Path, terms: list[Any], says: str) -> None:
    with pytest.raises(InverterError) as caught:
        mix(tiny, tmp_path / "out", *terms)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "images").exists()


@pytest.mark.parametrize(
    ("terms", "count"), [(BODY, 1), (("body/1", "body/3", "body/5"), 3), (("body/1",), 3), (("body/1=0", "body/3"), 3)]
)
def test_an_interpolation_has_two_terms_and_two_ends(terms: tuple[str, ...], count: int) -> None:
    with pytest.raises(ValueError, match="expected two terms"):
        Mix(term=terms, interpolate=count)


def test_a_score_is_the_weighted_sum_of_shares(tiny: Model, tmp_path: Path) -> None:
    report = mix(tiny, tmp_path, "body/1=1.5", "stem=0.25", "output/cat=-0.5", "body/0=0")
    terms = terms_of(report)
    assert [(term["term"], term["name"]) for term in terms] == [
        ("body/1", None),
        ("stem", None),
        ("output/2", "cat"),
        ("body/0", None),
    ]
    assert report.records[0].score == pytest.approx(sum(term["weight"] * term["share"] for term in terms), rel=1e-4)
    assert [term["alone"] for term in terms] == [
        reached(tiny, Term(*key)) for key in (("body", "1"), ("stem", ""), ("output", "2"), ("body", "0"))
    ]
    assert report.manifest.table[2] == {
        "picture": "mix",
        "term": "output/2",
        "name": "cat",
        "weight": -0.5,
        "share": terms[2]["share"],
    }


def test_a_mixture_written_otherwise_is_the_same_run(tiny: Model, tmp_path: Path) -> None:
    assert mix(tiny, tmp_path, "body/1", "body/3=.5").made == 1
    assert mix(tiny, tmp_path, "body/1=1.0", "body/3=0.5").made == 0
    with pytest.raises(ValueError, match="term"):
        mix(tiny, tmp_path, "body/1=1.0", "body/3=0.6")


def test_an_interpolation_begins_and_ends_with_each_term_alone(tiny: Model, tmp_path: Path) -> None:
    between = pixels(mix(tiny, tmp_path / "between", *BODY, interpolate=3))
    first, middle, last = (
        pixels(mix(tiny, tmp_path / str(number), *terms))[0]
        for number, terms in enumerate(((BODY[0],), ("body/1=.5", "body/3=.5"), (BODY[1],)))
    )
    for made, alone in zip(between, (first, middle, last), strict=True):
        assert (made == alone).all()
    assert (first != last).any()


def test_attempts_at_a_mixture_differ(tiny: Model, tmp_path: Path) -> None:
    report = mix(tiny, tmp_path, *BODY, attempts=2)
    assert [record.file for record in report.records] == ["images/mix.png", "images/mix-1.png"]
    one, two = pixels(report)
    assert (one != two).any()


def test_a_silent_term_counts_as_it_is(tiny_net: nn.Module) -> None:
    nn.init.zeros_(tiny_net.body.weight)
    nn.init.zeros_(tiny_net.body.bias)
    assert reached(load_model(tiny_net, input_size=12), Term("body", "1")) == 1.0


def test_a_picture_shows_both_units_and_avoids_one_below_zero(tmp_path: Path) -> None:
    model = load_model("builtin", device="cpu")
    units = [f"features.stage3/{channel}" for channel in (3, 17)]
    shares = {}
    for weights in ((1, 0), (1, 1), (1, -1)):
        terms = [f"{unit}={weight}" for unit, weight in zip(units, weights, strict=True)]
        report = mix(model, tmp_path / str(weights), *terms, size=64, steps=16)
        shares[weights] = [term["share"] for term in terms_of(report)]
    assert min(shares[1, 1]) > 0.4
    assert shares[1, 0][1] < shares[1, 1][1]
    assert shares[1, -1][1] < min(0.1, shares[1, 0][1] + 0.01)
    assert shares[1, -1][0] > 0.5
