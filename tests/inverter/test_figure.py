"""The figure: where pictures and captions stand, which formats there are, and that equal ones are equal files."""

import re
from pathlib import Path

import pytest
from PIL import Image

from inverter import BadInput, Settings, figure, load_model, optimize
from objectives import channel
from priors import Pixels

RED, GREEN = Image.new("RGB", (20, 10), "red"), Image.new("RGB", (10, 10), "lime")


def colours(path: Path) -> list[tuple[int, ...]]:
    with Image.open(path) as picture:
        return [colour for _, colour in sorted(picture.convert("RGB").getcolors(1 << 24) or [], reverse=True)][:3]


def test_pictures_fill_the_width_beside_each_other(tmp_path: Path) -> None:
    drawn = figure.draw([RED, GREEN], ["a\n1", "b"], columns=2, width=5.08)
    figure.save(drawn, tmp_path / "two.png")
    with Image.open(tmp_path / "two.png") as picture:
        assert picture.width == pytest.approx(600, abs=1)  # 2 inches at 300 dots
        middle = 60
        assert picture.convert("RGB").getpixel((5, middle)) == (255, 0, 0)
        assert picture.convert("RGB").getpixel((picture.width - 5, middle)) == (0, 255, 0)


def test_each_row_starts_on_a_line_of_its_own_and_bears_its_name() -> None:
    drawn = figure.draw([RED] * 3, ["a", "b", "c"], rows=["one", "one", "two"], columns=2)
    boxes = [axes.get_position() for axes in drawn.axes[:3]]
    assert boxes[0].y0 == pytest.approx(boxes[1].y0) and boxes[2].y0 < boxes[0].y0
    assert boxes[2].x0 == pytest.approx(boxes[0].x0) and boxes[1].x0 > boxes[0].x0
    assert {"one", "two", "a", "b", "c", "10 pixels"} == {text.get_text() for text in drawn.texts}


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_equal_input_makes_equal_files(tmp_path: Path, kind: str) -> None:
    for name in ("a", "b"):
        figure.save(figure.draw([RED, GREEN], ["α", "β"]), tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_fonts_are_embedded(tmp_path: Path) -> None:
    drawn = figure.draw([RED], ["caption"])
    figure.save(drawn, tmp_path / "one.pdf")
    figure.save(drawn, tmp_path / "one.svg")
    assert re.search(rb"/FontFile2", (tmp_path / "one.pdf").read_bytes())
    assert "<text" not in (tmp_path / "one.svg").read_text()  # outlines, which look the same everywhere


def test_opacity_is_shown_over_white(tmp_path: Path) -> None:
    figure.save(figure.draw([Image.new("RGBA", (8, 8), (0, 0, 255, 0))], [""]), tmp_path / "clear.png")
    assert (0, 0, 255) not in colours(tmp_path / "clear.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 0}, "columns must be at least 1, got 0"),
        ({"width": 0.5}, "width must be from 1 to 200 centimetres"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        figure.draw([RED], ["a"], **options)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="got no picture"):
        figure.draw([], [])


def test_another_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"expected a file that ends in \.pdf, \.svg or \.png"):
        figure.save(figure.draw([RED], ["a"]), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_a_result_has_a_figure() -> None:
    result = optimize(load_model("builtin"), channel("features.stem", [0, 1]), Pixels(2, 32), Settings(steps=1))
    texts = [text.get_text() for text in result.figure(columns=2).texts]
    assert texts[0] == f"channel(features.stem:0)\n{result.scores[0]:.4g}"
    assert texts[-1] == "10 pixels"
