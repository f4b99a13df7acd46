"""Each benchmark can be imported: all names that it takes from the project exist. That of a GPU runs in a tiny form."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "benchmarks"


def test_every_benchmark_finds_what_it_imports() -> None:
    names = sorted(file.stem for file in FOLDER.glob("*.py"))
    assert "gallery_vs_lucent" in names
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(names)}"], cwd=FOLDER, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_benchmark_of_a_gpu_keeps_to_its_time() -> None:
    quick = "['--quick', '--device', 'cpu', '--seconds', '{}']"
    script = f"import gpu; gpu.main({quick.format(250)}); print('AGAIN'); gpu.main({quick.format(-1)})"
    done = subprocess.run([sys.executable, "-c", script], cwd=FOLDER, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    complete, hurried = done.stdout.split("AGAIN")
    rows = [line.split(" | ") for line in complete.splitlines() if line.startswith("| bundled")]
    assert [row[2] for row in rows] == ["1", "2"]
    assert all(float(row[3]) > 0 for row in rows)
    assert "## Kernels of bundled" in complete and "convolution" in complete
    assert "| gallery, 2 channels | 2 |" in complete and "Omitted" not in complete
    for what in ("bundled, 1 pictures", "kernels by time", "gallery, 2 channels"):
        assert f"Omitted: {what}" in hurried
    assert "| bundled" not in hurried
