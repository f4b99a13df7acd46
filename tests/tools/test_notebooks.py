"""The notebooks in git have no outputs and import what exists; the tool runs one, writes its page, reports failures.

That each runs to its end is checked when the site is built (`make docs`), which executes all of them once.
"""

import ast
import importlib
from pathlib import Path

import nbformat
import pytest

import tools.notebooks
from tools.notebooks import NOTEBOOKS, execute, introduction, main, stripped, write, write_index

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def notebook(*cells: str) -> str:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title\n\nOne\nparagraph.\n\nMore.")])
    made.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    return nbformat.writes(made)


def test_there_is_a_notebook_for_each_topic() -> None:
    assert len(PATHS) == 9


@each_notebook
def test_it_is_stripped_and_its_cells_keep_their_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == stripped(text), "python -m tools.notebooks --strip"
    made = nbformat.reads(text, as_version=4)
    assert (made.nbformat, made.nbformat_minor) == (4, 5)
    topic = path.stem.partition("_")[2].replace("_", "-")
    assert [cell.id for cell in made.cells] == [f"{topic}-{number:02d}" for number in range(1, len(made.cells) + 1)]
    title, paragraph = introduction(made)
    assert title and paragraph.endswith(".")


@each_notebook
def test_its_cells_compile_and_what_they_import_exists(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names), node.lineno


@each_notebook
def test_it_writes_below_its_own_folder_and_reads_the_pictures_of_the_examples_alone(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        for node in ast.walk(ast.parse(cell.source if cell.cell_type == "code" else "")):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if node.value.startswith("out/"):
                    assert node.value.startswith(f"out/{path.stem.partition('_')[2]}"), node.value
                if node.value.startswith("../"):
                    assert (path.parent / node.value).is_file(), node.value


def test_a_notebook_becomes_a_page_with_its_pictures_as_files_and_its_runs_next_to_it(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(
        notebook(
            "import pathlib\nassert pathlib.Path('../pictures/cat.jpg').is_file()\n"
            "pathlib.Path('out/a').mkdir(parents=True)\npathlib.Path('out/a/index.html').write_text('page')",
            "from PIL import Image\nImage.new('RGB', (4, 4))",
            "from IPython.display import HTML\nHTML('<img src=\"data:image/gif;base64,eA==\">')",
        )
    )
    before = (tmp_path / "a.ipynb").read_text()
    executed = execute(tmp_path / "a.ipynb", tmp_path / "site")
    assert executed.fault == "" and executed.cpu > 0
    assert (tmp_path / "a.ipynb").read_text() == before
    write(executed, tmp_path / "site")
    text = (tmp_path / "site/a.md").read_text(encoding="utf-8")
    assert text.startswith("# A title\n\n") and "\n\n*[a.ipynb](../../examples/notebooks/a.ipynb)*\n" in text
    assert '<img src="a_files/000.gif">' in text and "process_time" not in text
    assert (tmp_path / "site/a_files/000.gif").read_bytes() == b"x"
    assert len(list((tmp_path / "site/a_files").glob("*.png"))) == 1
    assert (tmp_path / "site/out/a/index.html").read_text() == "page"
    write_index({"a": executed.notebook}, tmp_path / "site")
    assert "**[A title](a.md)**\n: One paragraph.\n" in (tmp_path / "site/index.md").read_text(encoding="utf-8")


def test_a_notebook_that_fails_or_warns_ends_the_program_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tools.notebooks, "NOTEBOOKS", tmp_path)
    for name, cell in (("fails", "1 / 0"), ("warns", "import warnings\nwarnings.warn('mind the gap')"), ("runs", "1")):
        (tmp_path / f"{name}.ipynb").write_text(notebook(cell))
    assert main([str(tmp_path / "site")]) == 1
    out = capsys.readouterr().out
    assert "ZeroDivisionError: division by zero" in out and "mind the gap" in out
    assert "failed: fails, warns\n" in out
    assert (tmp_path / "site/runs.md").is_file()
    assert main([str(tmp_path / "site"), "--only", "runs"]) == 0
    assert (tmp_path / "site/index.md").read_text(encoding="utf-8").count("**[A title](") == 3
