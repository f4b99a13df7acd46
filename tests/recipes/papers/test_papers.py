"""`inverter figure`, `sheet`, `table` and `cite`: from an output folder into a paper."""

import csv
import re
from pathlib import Path

import pyarrow.parquet
import pytest
from PIL import Image

from recipes import CATALOGUE, Gallery, list_methods
from recipes.attribution.registry import get_method
from recipes.cli.entry import main
from recipes.options.priors import NAMES as PRIORS
from recipes.outputs.manifest import Manifest
from recipes.papers.citations import OF_PRIORS, RECIPES, key_of_paper, keys_of, references


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "gallery"
    Gallery(
        model="builtin", layer=["features.stem", "features.stage1"], channels="0-3", size=32, steps=1, out=str(out)
    ).run(progress=None)
    return out


def test_a_figure_shows_the_units_that_were_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "fig.svg"
    assert (
        main(
            [
                "figure",
                str(run),
                "--units",
                "features.stem/1-2",
                "--units",
                "*/features.stage1/*3.png",
                "--out",
                str(file),
            ]
        )
        == 0
    )
    assert "(3 pictures)" in capsys.readouterr().out
    assert file.read_text().count("<image") == 3


def test_a_sheet_shows_the_units_that_were_named(run: Path, tmp_path: Path) -> None:
    assert main(["sheet", str(run), "--units", "features.stem/0", "--out", str(tmp_path / "one.png")]) == 0
    with Image.open(tmp_path / "one.png") as one, Image.open(run / "sheet.png") as every:
        assert one.width < every.width


def test_the_table_is_printed_with_the_usual_columns(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "channel", "objective", "score", "status"] and len(lines) == 9


@pytest.mark.parametrize("kind", ["csv", "tex", "parquet"])
def test_a_table_has_the_columns_that_were_named(run: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"table.{kind}"
    assert main(["table", str(run), "--column", "layer", "--column", "score", "--out", str(file)]) == 0
    scores = [record.score for record in Manifest.load(run / "manifest.json").units.values()]
    if kind == "csv":
        rows = list(csv.DictReader(file.read_text().splitlines()))
        assert [float(row["score"]) for row in rows] == scores and set(rows[0]) == {"layer", "score"}
    elif kind == "parquet":
        assert pyarrow.parquet.read_table(file).to_pydict()["score"] == scores
    else:
        assert file.read_text().startswith("\\begin{tabular}{lr}")
        assert f"features.stem & {scores[0]:.4g} \\\\" in file.read_text()


def test_without_columns_parquet_has_all_that_csv_has(run: Path, tmp_path: Path) -> None:
    assert main(["table", str(run), "--out", str(tmp_path / "t.parquet")]) == 0
    header = next(csv.reader((run / "units.csv").read_text().splitlines()))
    assert set(header) <= set(pyarrow.parquet.read_schema(tmp_path / "t.parquet").names)


def test_a_run_names_what_it_stands_on(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cite", str(run)]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"@\w+\{(\w+),", printed) == ["erhan2009", "olah2017", "mordvintsev2018"]
    assert main(["cite", str(run), "--out", str(tmp_path / "run.bib")]) == 0
    assert (tmp_path / "run.bib").read_text() == printed


def test_methods_statistics_and_judges_are_cited() -> None:
    settings = {"method": ["grad-cam", "lrp:epsilon=0.1"], "judge": ["builtin"], "natural": "bn", "prior": "maco"}
    keys = keys_of(Manifest("explain", settings, {}, 0))
    assert keys[:3] == ["fel2023", "selvaraju2017", "bach2015"]
    assert {"yin2020", "zimmermann2024"} <= set(keys)


def test_everything_that_can_be_chosen_has_its_references() -> None:
    known = references()
    assert set(RECIPES) == {entry.command for entry in CATALOGUE}
    assert set(OF_PRIORS) == set(PRIORS)
    needed = {key for keys in [*RECIPES.values(), *OF_PRIORS.values()] for key in keys}
    needed |= {key_of_paper(get_method(name).paper) for name in list_methods()}
    assert not needed - set(known)
    for key, entry in known.items():
        assert entry.count("{") == entry.count("}"), key
        assert all(re.search(rf"^  {field} = \{{", entry, re.MULTILINE) for field in ("title", "author", "year")), key


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("figure RUN --units features.stam/1", "no unit 'features.stam/1'; did you mean features.stem/1"),
        ("figure RUN --out fig.jpg", "expected a file that ends in .pdf, .svg or .png"),
        ("figure RUN --columns 0", "columns must be at least 1, got 0"),
        ("sheet RUN --out sheet.jpg", "expected a file that ends in .png"),
        ("table RUN --column scor", "no column 'scor'; did you mean score"),
        ("table RUN --out table.xlsx", "expected a file that ends in .csv, .tex or .parquet"),
        ("cite nowhere", "no manifest 'nowhere'; expected the output folder of a run"),
    ],
)
def test_a_mistake_is_one_line(run: Path, arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.replace("RUN", str(run)).split()) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
