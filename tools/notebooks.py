"""`python -m tools.notebooks FOLDER`: runs every notebook of `examples/notebooks` and writes it as a page of the site.

A notebook that fails, or writes to standard error, ends the program with 1. Each runs in an empty folder of its own,
next to a copy of `examples/pictures`; FOLDER gets a page for each, its pictures, and the folders that its runs wrote.
With `--strip` the notebooks are not run, but written without their outputs, as git has them.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import MarkdownExporter
from nbformat import NotebookNode

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOKS = EXAMPLES / "notebooks"
JOBS = 2
"""Notebooks that run at a time, each on one thread."""
LONGEST = 600
"""Seconds that a cell may take, also on a busy machine."""
UNPUBLISHED = shutil.ignore_patterns("activations", "directions", "layout", "*.npy", "*.safetensors")
"""What pages of runs do not show."""
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
INTRODUCTION = """# Notebooks

Each can be read on its own and runs in less than a minute on a laptop, without a download: all of them use the
[bundled network](../bundled.md), or train a small one. Every page links its file in `examples/notebooks`; some need the
extras `atlas` and `attribution`, and pandas. What is shown here was computed when this site was built.
"""
STYLE = """<style>
.md-typeset table:not([class]) th, .md-typeset table:not([class]) td { min-width: 0; padding: 0.25em 0.7em; }
.md-typeset figcaption { margin-top: 2px; max-width: none; text-align: left; font-style: normal; }
</style>"""
"""Compact tables and captions, as in a notebook."""
_DATA = re.compile(r"data:(image|video)/(png|jpeg|gif|mp4);base64,([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Executed:
    """A notebook with its outputs.

    Attributes:
        name: of the file, without its suffix.
        notebook: with outputs.
        seconds: of wall-clock time, with the start of the kernel.
        cpu: seconds of CPU time of the kernel.
        fault: what went wrong, "" if all of it ran.
    """

    name: str
    notebook: NotebookNode
    seconds: float
    cpu: float
    fault: str = ""


def stripped(text: str) -> str:
    """A notebook as git has it: without outputs and counts, with the one kernel that every machine has."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip() + "\n"


def execute(path: Path, out: Path | None = None) -> Executed:
    """Runs a notebook in an empty folder, next to a copy of the pictures.

    Args:
        path: of the notebook, which stays as it is.
        out: folder that gets `out`, in which a notebook writes; None drops it.
    """
    started = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    clock = nbformat.v4.new_code_cell("import time\ntime.process_time()")
    notebook.cells.append(clock)
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        here = Path(folder) / "notebooks"
        here.mkdir()
        shutil.copytree(EXAMPLES / "pictures", Path(folder) / "pictures")
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=LONGEST,
            resources={"metadata": {"path": str(here)}},
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
        fault = ""
        try:
            client.execute()
        except CellExecutionError as error:
            fault = f"{error.ename}: {error.evalue}"
        notebook.cells.remove(clock)
        fault = fault or _complaint(notebook)
        if out is not None and (here / "out").is_dir():
            shutil.copytree(here / "out", out / "out", ignore=UNPUBLISHED, dirs_exist_ok=True)
    cpu = float(clock.outputs[0].data["text/plain"]) if clock.outputs else 0.0
    return Executed(path.stem, notebook, time.monotonic() - started, cpu, fault)


def _complaint(notebook: NotebookNode) -> str:
    """What the cells wrote to standard error: a reader should see no warnings."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", ()))
    return "".join(output.text for output in outputs if output.get("name") == "stderr")


def write(executed: Executed, folder: Path) -> None:
    """Writes a notebook as a page in Markdown, with its pictures as files.

    Args:
        executed: the notebook.
        folder: of the page; its files are in `NAME_files`.
    """
    name, files = executed.name, folder / f"{executed.name}_files"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    for cell in executed.notebook.cells:
        for output in cell.get("outputs", ()):
            if markup := output.get("data", {}).get("text/html"):
                output.data["text/html"] = _DATA.sub(partial(_as_file, files), markup)
    resources = {"unique_key": name, "output_files_dir": files.name}
    text, resources = MarkdownExporter().from_notebook_node(executed.notebook, resources)
    for path, content in resources.get("outputs", {}).items():
        (folder / path).write_bytes(content)
    source = f"*[{name}.ipynb](../../examples/notebooks/{name}.ipynb)*"
    title, _, rest = text.strip().partition("\n")
    (folder / f"{name}.md").write_text(f"{title}\n\n{STYLE}\n\n{source}\n{rest}\n", encoding="utf-8")


def _as_file(files: Path, match: re.Match[str]) -> str:
    """Writes a picture that stands in an output as a file, and returns its address."""
    path = files / f"{len(list(files.iterdir())):03d}.{match[2]}"
    path.write_bytes(base64.b64decode(match[3]))
    return f"{files.name}/{path.name}"


def introduction(notebook: NotebookNode) -> tuple[str, str]:
    """The title of a notebook and the paragraph below it."""
    title, paragraph, *_ = notebook.cells[0].source.split("\n\n")
    return title.removeprefix("# "), " ".join(paragraph.split())


def write_index(notebooks: dict[str, NotebookNode], folder: Path) -> None:
    """Writes the page that lists the notebooks."""
    listed = [(name, *introduction(notebook)) for name, notebook in notebooks.items()]
    entries = [f"**[{title}]({name}.md)**\n: {paragraph}\n" for name, title, paragraph in listed]
    (folder / "index.md").write_text(INTRODUCTION + "\n" + "\n".join(entries), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks", description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/notebooks"))
    parser.add_argument("--only", default="", help="run the notebooks with this text in their name alone")
    parser.add_argument("--jobs", type=int, default=JOBS, help="notebooks that run at a time")
    parser.add_argument("--strip", action="store_true", help="only remove the outputs of the notebooks in git")
    given = parser.parse_args(arguments)
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if given.only in path.name]
    if given.strip:
        for path in paths:
            path.write_text(stripped(path.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    for name, value in (("OMP_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "passive")):
        os.environ.setdefault(name, value)
    if not given.only:
        shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True, exist_ok=True)
    failed = []
    with ProcessPoolExecutor(given.jobs) as pool:
        for executed in pool.map(partial(execute, out=given.folder), paths):
            sys.stdout.write(f"{executed.name}: {executed.seconds:.0f} s, of the CPU {executed.cpu:.0f} s\n")
            sys.stdout.flush()
            write(executed, given.folder)
            if executed.fault:
                failed.append(executed.name)
                sys.stdout.write(f"{executed.fault.strip()}\n")
    there = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if (given.folder / f"{path.stem}.md").is_file()]
    write_index({path.stem: nbformat.read(path, as_version=4) for path in there}, given.folder)
    if failed:
        sys.stdout.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
