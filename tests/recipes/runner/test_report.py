"""What `run()` returns: short in a terminal, a grid of pictures in a notebook, a table for pandas."""

import builtins
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from inverter import Model
from recipes import DeepDream, Gallery
from recipes.runner.report import SHOWN, Report


@pytest.fixture
def report(tiny_net: nn.Module, tmp_path: Path) -> Report:
    model = Model(tiny_net, input_size=(12, 12))
    return Gallery(model=model, layer="body", channels="0-2", steps=2, out=str(tmp_path / "a <b>")).run(None)


def test_its_text_is_short(report: Report) -> None:
    assert repr(report) == f"Report(gallery: 3 pictures in {str(report.out)!r}, 3 new)"


def test_its_images_are_the_pictures_in_order(report: Report) -> None:
    assert [image.size for image in report.images] == [(12, 12)] * 3
    assert [record.channel for record in report.records] == [0, 1, 2]


def test_a_notebook_shows_the_pictures_with_their_scores_and_the_way_to_the_page(report: Report) -> None:
    shown = report._repr_html_()
    assert shown.count("data:image/png;base64,") == 3
    for record in report.records:
        assert f"body/{record.channel}<br>{record.score:.4g}" in shown
    assert f'<a href="{(report.out / "index.html").resolve().as_uri()}"' in shown
    assert "a &lt;b&gt;" in shown and "a <b>" not in shown


def test_a_notebook_shows_what_failed_what_was_skipped_and_how_many_are_left_out(report: Report) -> None:
    first, *others = report.records
    many = {f"{index}": replace(others[0], file=others[0].file) for index in range(SHOWN + 5)}
    failed = replace(first, status="non-finite at step 1")
    manifest = replace(report.manifest, units={"failed": failed, **many})
    shown = replace(report, manifest=manifest, skipped={"a.png": "broken"}, closing="all & more")._repr_html_()
    assert shown.count("data:image/png;base64,") == SHOWN
    assert "6 more on the page" in shown
    assert f"1 failed: {failed.file} (non-finite at step 1)" in shown
    assert "1 input picture could not be read" in shown
    assert "all &amp; more" in shown


def test_pages_below_the_notebook_have_a_relative_address(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(report.out.parent)
    assert '<a href="a%20%3Cb%3E/index.html"' in report._repr_html_()


def test_a_notebook_shows_the_table_and_films_and_a_map_in_place_of_its_pictures(report: Report) -> None:
    film, drawn = report.out / "film.gif", report.out / "atlas.png"
    film.write_bytes(b"film")
    drawn.write_bytes(b"map")
    manifest = replace(report.manifest, table=[{"method": "saliency", "insertion": 0.51234}])
    shown = replace(report, manifest=manifest, files={"video": film})._repr_html_()
    assert "<th>insertion</th>" in shown and "<td>0.512</td>" in shown
    assert 'src="data:image/gif;base64,' in shown and shown.count("data:image/png;base64,") == 3
    first = replace(report.records[0], extra_files={"video": "film.gif"})
    filmed = replace(report, manifest=replace(report.manifest, units={first.file: first}))._repr_html_()
    assert re.search(r'<figure[^>]*><img src="data:image/png;[^>]*><img src="data:image/gif;[^>]*><figcaption>', filmed)
    shown = replace(report, files={"atlas": drawn})._repr_html_()
    assert shown.count("data:image/png;base64,") == 1


def test_pictures_of_one_input_differ_in_their_captions(report: Report) -> None:
    first, *_ = report.records
    units = {layer: replace(first, layer=layer, image="cat", prior="pixels") for layer in ("a", "b")}
    shown = replace(report, manifest=replace(report.manifest, units=units))._repr_html_()
    assert "cat<br>a pixels<br>" in shown and "cat<br>b pixels<br>" in shown


def test_its_records_are_a_table_with_the_metrics_as_columns(report: Report) -> None:
    first = report.records[0]
    measured = replace(first, metrics={"burnt": 0.25})
    table = replace(report, manifest=replace(report.manifest, units={first.file: measured})).to_dataframe()
    assert table.loc[0, ["layer", "channel", "burnt"]].tolist() == ["body", 0, 0.25]
    assert len(report.to_dataframe()) == 3


def test_without_pandas_it_says_how_to_get_it(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ModuleNotFoundError, match="to_dataframe needs pandas: pip install pandas"):
        report.to_dataframe()


def test_progress_is_shown_by_default_and_silent_on_request(
    tiny_net: nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Model(tiny_net, input_size=(12, 12))
    Gallery(model=model, layer="body", channels="0", steps=2, out=str(tmp_path / "a")).run(None)
    assert capsys.readouterr() == ("", "")
    Gallery(model=model, layer="body", channels="0", steps=2, out=str(tmp_path / "b")).run()
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^gallery: 1/1 picture, all finished$", err, re.MULTILINE)


def test_a_dream_returns_a_report_too(tiny_net: nn.Module, photos: Path, tmp_path: Path) -> None:
    dream = DeepDream(
        model=Model(tiny_net),
        image=str(photos / "a.png"),
        layer="body",
        octaves=1,
        steps=1,
        out=str(tmp_path / "a.png"),
    )
    report = dream.run(None)
    assert repr(report) == f"Report(dream: 1 picture in {str(tmp_path)!r}, 1 new)"
    assert "data:image/png;base64," in report._repr_html_()
