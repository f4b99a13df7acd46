"""An output folder in use: one run at a time, no lock that outlives its process, no links out of it, no litter."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recipes.cli.entry import main
from recipes.outputs.folder_lock import LOCK, held

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from recipes.outputs.folder_lock import held
with held(Path(sys.argv[1])):
    (Path(sys.argv[1]) / ".a.png.1.partial").write_text("half")
    print("held", flush=True)
    time.sleep(60)
"""


def elsewhere(folder: Path) -> None:
    """Holds the folder for a moment in another thread, which is another run."""

    def attempt() -> None:
        with held(folder):
            pass

    with ThreadPoolExecutor(1) as pool:
        pool.submit(attempt).result()


def test_of_two_runs_the_second_is_refused_and_the_first_continues(tmp_path: Path) -> None:
    with held(tmp_path):
        with pytest.raises(BlockingIOError, match="another run is at work in"):
            elsewhere(tmp_path)
        with pytest.raises(BlockingIOError):
            elsewhere(tmp_path)  # the first refusal has not let go of the lock
    elsewhere(tmp_path)


def test_a_run_may_hold_its_folder_several_times_over(tmp_path: Path) -> None:
    with held(tmp_path):
        with held(tmp_path):
            pass
        with pytest.raises(BlockingIOError):
            elsewhere(tmp_path)


def test_a_lock_goes_with_its_process_and_what_it_left_is_swept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), held(tmp_path):
            pass
        process.kill()
    assert (tmp_path / ".a.png.1.partial").exists()
    with held(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_the_second_command_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    with held(out), ThreadPoolExecutor(1) as pool:
        arguments = ["gallery", "--model", "builtin", "--layer", "features.stem", "--out", str(out)]
        assert pool.submit(main, arguments).result() == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "another run is at work" in error


def test_only_our_own_temporary_files_are_swept(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "conv"
    folder.mkdir(parents=True)
    ours = [folder / ".0003.png.4711.partial", tmp_path / ".dream.12.partial.gif"]
    theirs = [folder / "a.partial", folder / ".partial", tmp_path / ".notes.txt", folder / "0003.png"]
    for path in ours + theirs:
        path.write_text("x")
    with held(tmp_path):
        assert not any(path.exists() for path in ours)
        assert all(path.exists() for path in theirs)


def test_a_folder_that_stays_empty_is_removed_again(tmp_path: Path) -> None:
    with pytest.raises(LookupError), held(tmp_path / "a" / "b"):
        raise LookupError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(LookupError), held(tmp_path / "mine"):
        raise LookupError
    assert (tmp_path / "mine").is_dir()
    with held(tmp_path / "c"):
        (tmp_path / "c" / "picture.png").write_text("x")
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [LOCK, "picture.png"]


@pytest.mark.parametrize("place", ["images", "images/conv", "activations/conv"])
def test_a_link_that_leads_out_is_refused_before_anything_is_written(tmp_path: Path, place: str) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (out / place).parent.mkdir(parents=True)
    (out / place).symlink_to(outside)
    with pytest.raises(ValueError, match=r"is a link that leads out of the .* to .*outside.*remove it"), held(out):
        pass
    assert list(outside.iterdir()) == []


def test_links_within_the_folder_and_a_folder_that_is_a_link_are_fine(tmp_path: Path) -> None:
    (tmp_path / "disk" / "images").mkdir(parents=True)
    (tmp_path / "disk" / "more").symlink_to(tmp_path / "disk" / "images")
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    with held(tmp_path / "out"), pytest.raises(BlockingIOError):
        elsewhere(tmp_path / "disk")  # the same folder under another name


def test_the_lock_is_never_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "out" / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match=r"\.lock"), held(tmp_path / "out"):
        pass
    assert (tmp_path / "precious").read_text() == "precious"
