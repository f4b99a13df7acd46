"""The project speaks the field's language: words of an earlier private dialect stay out of code, help and documents."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GONE = (
    "told tells\\ of Told Tick Seen Look looking beside BESIDE sightings sighting keeping whole nothing company chance "
    "lacking wanted asked figures to\\ the\\ same\\ bits"
).replace("\\ ", "\0")
PATTERN = re.compile(r"\b(" + "|".join(re.escape(word.replace("\0", " ")) for word in GONE.split(" ")) + r")\b")
EXEMPT = {"LICENSE", "CHANGELOG.md", "tests/test_words.py"}
"""The changelog names what was renamed."""


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if name not in EXEMPT]


def test_no_word_of_the_old_dialect_is_left() -> None:
    found = []
    for path in tracked():
        if not path.is_file() or path.suffix in (".jpg", ".png", ".safetensors", ".npz"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [f"{path.relative_to(ROOT)}:{number}: {match[1]}" for match in PATTERN.finditer(line)]
    assert not found, "\n".join(found[:50])
