"""Generated bad input: each case completes, or is refused in one line with exit code 2; no traceback, no stray file.

    python tests/recipes/robustness/fuzz_bad_input.py --cases 10000

Hypothesis generates commands with odd flags, recipe files, damaged weights, pictures, codes and manifests, in batches,
each in a process of its own. A batch ends at the first case that breaks the rule or crashes its process, and reports
it. The command line turns only errors of the `InverterError` tree, those of the operating system and exhausted memory
into one line; any other exception breaks the rule. Values are drawn so that no valid case takes long.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from inverter import encode, load_model
from recipes import find_recipe
from recipes.attribution.registry import NAMES
from recipes.cli.entry import main
from recipes.options.fields import key_of

NET = """
import torch
from torch import nn
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
"""
BATCH = 500
BROKEN = "batches that broke the rule"
CURRENT = "case.json"  # the current case, to report one that crashes its process
SMALL = "--model nets.py:net --device cpu --precision float32"
MAP_OPTIONS = "--model nets.py:net --device cpu --size 8 --image good.png --out OUT"
MAPS = {"explain": MAP_OPTIONS, "judge-maps": f"{MAP_OPTIONS} --points 2 --depths 1 --squares 2"}
COMMANDS = {
    "gallery": f"{SMALL} --size 8 --steps 1 --layer 0 --channels 0 --out OUT",
    "mix": f"{SMALL} --size 8 --steps 1 --term 0/0=1 --term 1=-0.5 --out OUT",
    "classes": f"{SMALL} --size 8 --steps 1 --class 0 --out OUT",
    "invert": f"{SMALL} --size 8 --steps 1 --layer 0 --prior pixels --image good.png --out OUT",
    "inpaint": "--image large.png --missing 0.5 --steps 1 --device cpu --out OUT",
    "dictionary": f"{SMALL} --size 8 --steps 1 --layer 0 --image good.png --icon 6 --out OUT",
    "grid": f"{SMALL} --size 5 --steps 1 --layer 0 --image good.png --icon 6 --out OUT",
    "patches": f"{SMALL} --size 8 --layer 0 --images good.png --out OUT",
    "atlas": f"{SMALL} --icon 8 --steps 1 --layer 0 --images large.png --layout tsne --neighbors 6 --positions 40 "
    "--grid 2 --min-members 1 --out OUT",
    "explain": f"{MAPS['explain']} --target logit:0 --method saliency",
    "judge-maps": f"{MAPS['judge-maps']} --method saliency --boxes boxes.json",
    "dream": f"{SMALL} --layer 0 --image good.png --octaves 1 --steps 1 --out OUT/dream.png",
    "layers": "--model nets.py:net --size 8 --device cpu",
    "statistics": "--images good.png --out OUT/statistics.json",
    "compare": "--model nets.py:net --device cpu --size 8 --layer 0 --layer 1 --images many --warp hflip --out OUT",
    "circuit": f"{SMALL} --size 8 --steps 1 --layer 4 --channels 0 --inputs 0 --out OUT",
    "adversarial": "--model nets.py:net --device cpu --size 8 --steps 2 --image good.png --target any --out OUT",
    "polysemantic": f"{SMALL} --size 8 --steps 1 --layer 1 --channels 0 --inputs 0 --images many --out OUT",
    "microscope": f"{SMALL} --size 8 --steps 1 --layers 0 --channels 0 --classes none --out OUT",
    "concepts": f"{SMALL} --size 8 --steps 1 --layer 0 --positive many --negative many --runs 2 --out OUT",
    "craft": f"{SMALL} --size 8 --steps 1 --layer 1 --images many --count 2 --designs 2 --crop 4 --out OUT",
    "learn-directions": "--model nets.py:net --device cpu --size 8 --layer 0 --images many "
    "--count 2 --k 1 --steps 2 --out OUT/sae.safetensors",
    "figure": "done --out OUT/figure.png",
    "sheet": "done --out OUT/sheet.png",
    "table": "done",
    "cite": "done",
    "run": "good.toml",
    "repeat": "done/manifest.json --unit 0/0",
}
READERS = ("figure", "sheet", "table", "cite")
"""Commands that read a finished run."""
FLAGS = """
    model weights normalize augment out steps size seed device precision batch-size learning-rate layer channels
    objective prior attempts class image code distance judge judge-weights mask missing images grid positions
    least layout neighbors distance whiten power count icon groups guide video zoom fps octaves octave-scale rate tile
    unit source fresh negative deterministic damaged target method box boxes against perceive margin points depths
    squares directions latents inputs outputs norm above among warp matches neighbourhood k gate held-out seeds
    positive separator pooling runs significance crop designs patches others units columns column width like like-weight
    natural natural-weight term interpolate
    layers classes atlas vocabulary text-model
""".split()  # noqa: SIM905 - a list of words
NOTES = re.compile(r"[\w-]+: \d+/\d+ |inverter: (?!.*\(see inverter --help\)$)")
"""Lines on standard error that are no errors: progress and warnings."""
WRITES = ("out", "video")
BARE = ("fresh", "negative", "deterministic", "damaged")
NUMBERS = f"-1 0 1 2 3.5 nan inf -inf 1e400 10000000 0x10 1_0 ² {'9' * 19} {'9' * 40}".split()
WORDS = """
    .. ../.. / . ~ /dev/null /etc/passwd all none auto output 0 0#0 0#9 good.png good.toml nets.py nets.py:net done
    done/manifest.json w.safetensors <script>alert(1)</script> </script> '-- $(id) `id` %s%n é 𝕏 [1] {} 0- -0 , 0,,1 1-0
    cuda:9 cpu:1 0,0,0/1,1,1 0/0 - -- = x.mp4 x.gif 0*1e9 0:9 * : pixels pixels:blur= pixels:,, fourier:decay=nan
    maco:transparent=3 cppn:render=-1 boxes.json
""".split()  # noqa: SIM905 - a list of words
TARGETS = """
    logit:top softmax:top logit:1 softmax:0 logit:2 logit:-1 logit: logit:all logit:0-1 top channel:0:0 channel:0:3
    channel:4:0 channel:output:1 channel:absent:0 channel:0 channel::0 neuron:0:0 neuron:0:0:0,0 neuron:0:0:99,0
    neuron:4:0 neuron:0:0:-1,0 direction:0:0*1,2*-1 direction:0:9*1 direction:0:0*nan direction:0:0*1e400
    direction:0:0*0 direction:0:,, direction:0:w.npy direction:0:absent.npy layer:0 layer:4 layer:output layer:
    layer:0#1 lagit:0 : :: logit:0:0
""".split()  # noqa: SIM905 - a list of words
SLOW = {"rise", "lime", "kernel-shap", "score-cam", "augmented-grad-cam", "occlusion"}
SLOW |= {name for name in NAMES if name.startswith(("meaningful", "extremal"))}
METHODS = """
    grad-cam:relu=false grad-cam:relu=3 grad-cam:what=1 grad-cam: :relu=1 saliency:crops=true
    smoothgrad:samples=1 smoothgrad:samples=0 smoothgrad:noise=nan smoothgrad:noise=inf occlusion:size=0
    occlusion:size=99,stride=99 occlusion:stride=0 occlusion:grey=2 rise:masks=3 rise:masks=0 rise:keep=0
    rise:cells=0 rise:cells=99 integrated-gradients:steps=2 integrated-gradients:steps=0
    integrated-gradients:baseline=back lime:segments=0 kernel-shap:samples=0 deep-shap:background=absent
    deep-shap:background=good.png deep-shap:background= lrp:rule=x lrp:rule=epsilon,epsilon=-1 lrp:rule=alpha-beta
    extremal-perturbation:areas=[] extremal-perturbation:areas=[2] extremal-perturbation:areas=[0.1],steps=2
    meaningful-perturbation:steps=2 meaningful-perturbation:fill=x excitation-backprop:contrastive=true
    augmented-grad-cam:views=0 augmented-grad-cam:views=2,steps=2 extremal-channels:steps=2 score-cam
    lime:samples=9,segments=3 kernel-shap:samples=9,segments=3 occlusion:size=3,stride=3 grad-kam , =
""".split()  # noqa: SIM905 - a list of words
METHODS += sorted({*NAMES} - SLOW)
PLACES = "0 1 2 3 4 0#1 absent output -1".split()  # noqa: SIM905 - a list of words
ODD = ("", " ", "a\nb", "a\0b", "\udc80", "\u202e", "a" * 300)
MAP_VALUES = {
    "explain": {"target": TARGETS, "method": METHODS, "layer": PLACES, "box": ["graph-cut"], "perceive": ["1", "2"]},
    "judge-maps": {"target": TARGETS, "against": TARGETS, "method": METHODS, "layer": PLACES},
}
"""Plausible values for heat maps: random texts would only reach the first check."""
values = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.sampled_from(ODD), st.text(max_size=12))


def flags(known: Sequence[str]) -> st.SearchStrategy[str]:
    """One of these flags, with a value if it takes one; output paths stay in this folder."""

    def one(name: str) -> st.SearchStrategy[str]:
        inside = values.filter(lambda value: not value.startswith(("/", "..", "~"))) if name in WRITES else values
        return st.just(f"--{name}") if name in BARE else inside.map(lambda value: f"--{name}={value}")

    return st.sampled_from(known).flatmap(one)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
nested = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner), max_leaves=6
)


@st.composite
def commands(draw: st.DrawFn, only: str | None = None) -> list[str]:
    """A valid command in which some flags are given again with other values."""
    name = only or draw(st.sampled_from(sorted(COMMANDS)))
    recipe = find_recipe(name)
    known = [key_of(field).replace("_", "-") for field in fields(recipe)] if recipe else FLAGS
    return [name, *COMMANDS[name].split(), *draw(st.lists(flags(known), min_size=1, max_size=3))]


@st.composite
def map_commands(draw: st.DrawFn, only: str | None = None) -> list[str]:
    """Random combinations of heat-map options; some fit neither the network nor each other."""
    name = only or draw(st.sampled_from(sorted(MAP_VALUES)))
    chosen = draw(st.lists(st.sampled_from(sorted(MAP_VALUES[name])), min_size=1, max_size=4))
    options = [f"--{flag}={draw(st.sampled_from(MAP_VALUES[name][flag]))}" for flag in chosen]
    return [name, *MAPS[name].split(), *options]


def toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return {None: "''"}.get(value, json.dumps(value)) if value is None or not isinstance(value, float) else repr(value)


@st.composite
def recipe_files(draw: st.DrawFn) -> tuple[str, bytes, list[str]]:
    """A recipe file: keys of any recipe with values of any type, or random bytes."""
    if draw(st.integers(0, 9)) == 0:
        return "x.toml", b"steps = 0\n" + draw(st.binary(max_size=60)), ["run", "x.toml"]
    recipe = draw(st.sampled_from([*sorted(COMMANDS), "<b>", ""]))
    keys = draw(st.dictionaries(st.sampled_from([flag.replace("-", "_") for flag in FLAGS]), nested, max_size=4))
    # No valid case may take long or write elsewhere.
    for key, most in {"steps": 2, "size": 8, "attempts": 3, "octaves": 2, "zoom": 2, "icon": 8, "tile": 40}.items():
        if isinstance(keys.get(key), int) and not isinstance(keys[key], bool):
            keys[key] = min(keys[key], most)
    known = {"recipe": recipe, "model": "nets.py:net", "steps": 1, "layer": "0", "device": "cpu", "size": 8} | keys
    if isinstance(keys.get("out"), str | None):
        known["out"] = "OUT"
    text = "\n".join(f"{json.dumps(key)} = {toml_value(value)}" for key, value in known.items() if value is not None)
    return "x.toml", text.encode(errors="replace"), ["run", "x.toml"]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes, list[str]]:
    """A valid file in which bytes were changed, cut off, inserted or removed."""
    files = ["w.safetensors", "w.pt", "good.png", "code.safetensors", "done/manifest.json", "boxes.json", "w.npy"]
    name = draw(st.sampled_from(files))
    data = bytearray(Path(name).read_bytes())
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(("byte", "cut", "insert", "remove")))
        if kind == "byte" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[place:]
        elif kind == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=9))
        else:
            del data[place : place + 7]
    target = "OUT/manifest.json" if "manifest" in name else "x" + Path(name).suffix
    gallery = ["gallery", *COMMANDS["gallery"].split()]
    invert = ["invert", *COMMANDS["invert"].replace("--image good.png", "").split()]
    arguments = {
        "w.safetensors": [*gallery, "--weights", target],
        "w.pt": [*gallery, "--weights", target],
        "good.png": [*invert, "--image", target],
        "code.safetensors": [*invert, "--code", target],
        "done/manifest.json": gallery,
        "boxes.json": ["judge-maps", *COMMANDS["judge-maps"].replace("boxes.json", target).split()],
        "w.npy": ["explain", *COMMANDS["explain"].replace("logit:0", f"direction:0:{target}").split()],
    }
    return target, bytes(data), arguments[name]


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, bytes, list[str]]:
    """A valid manifest with one or two values replaced."""
    data = json.loads(Path("done/manifest.json").read_bytes())
    for _ in range(draw(st.integers(1, 2))):
        place: Any = data
        while isinstance(place, dict | list) and place:
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(list(keys)))
            if not isinstance(place[key], dict | list) or draw(st.integers(0, 2)) == 0:
                place[key] = draw(nested)
                break
            place = place[key]
    command = draw(st.sampled_from(["gallery", "repeat", "figure", "sheet", "table", "cite"]))
    more = {"gallery": COMMANDS["gallery"].split(), "repeat": ["OUT/manifest.json", "--unit", "0/0"]}
    more |= {reader: COMMANDS[reader].replace("done", "OUT/manifest.json").split() for reader in READERS}
    return "OUT/manifest.json", json.dumps(data).encode(), [command, *more[command]]


def paths(folder: Path) -> set[str]:
    """All paths in a folder except the output folder's."""
    ignored = {"__pycache__", ".hypothesis"}
    return {str(path) for path in folder.rglob("*") if path.parts[0] != "OUT" and not ignored & set(path.parts)}


def run(arguments: list[str]) -> tuple[int, str]:
    """Runs a command: its exit code and standard error."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, errors.getvalue()


def prepare() -> None:
    """Writes the files that the commands use, and a finished gallery."""
    Path("nets.py").write_text(NET)
    Image.new("RGB", (8, 8), (200, 90, 30)).save("good.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save("large.png")
    Path("many").mkdir()
    for number, pixels in enumerate(np.random.default_rng(1).integers(0, 256, (10, 9, 8, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(f"many/{number}.png")
    Path(CURRENT).touch()
    Path("good.toml").write_text("model = 'nets.py:net'\nlayer = '0'\nsize = 8\nsteps = 1\nout = 'OUT'\n")
    model = load_model("nets.py:net", device="cpu")
    save_file({name: tensor.contiguous() for name, tensor in model.module.state_dict().items()}, "w.safetensors")
    torch.save(model.module.state_dict(), "w.pt")
    encode(model, torch.rand(1, 3, 8, 8), "0", "code.safetensors")
    Path("boxes.json").write_text('{"good": [1, 1, 6, 6]}')
    np.save("w.npy", np.ones(3, np.float32))
    assert run(["gallery", *COMMANDS["gallery"].replace("OUT", "done").split()])[0] == 0
    manifest = Path("done/manifest.json")
    manifest.write_text(manifest.read_text().replace('"done"', '"OUT"'))


def check(cases: int, number: int, only: str | None = None) -> Counter[str]:
    """Runs generated cases.

    Args:
        cases: how many.
        number: the seed.
        only: a command; None: all of them, with recipe files, damaged files and manifests.

    Returns:
        The number of cases that ended with each exit code.

    Raises:
        AssertionError: of the first case that breaks the rule; any exception that the command line lets through.
    """
    ends: Counter[str] = Counter()
    known = paths(Path())

    def check_rule(arguments: list[str]) -> None:
        Path(CURRENT).write_text(json.dumps(arguments))
        code, errors = run(arguments)
        ends[f"exit code {code}"] += 1
        others = paths(Path()) ^ known
        for path in map(Path, others):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        assert code in (0, 2) or (code == 1 and arguments[0] == "repeat"), (arguments, code, errors)
        if code == 2:
            lines = [line for line in errors.splitlines() if not NOTES.match(line)]
            assert len(lines) == 1, (arguments, errors)
            assert lines[0].startswith("inverter"), (arguments, errors)
        allowed = {value.split("=", 1)[-1].split("/")[0] for value in arguments}
        here = "." in allowed  # the output is this folder itself
        assert here or all(Path(path).parts[0] in allowed | {"dream.mp4"} for path in others), (arguments, others)

    def limited(strategy: Any, share: float) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
        profile = settings(
            max_examples=max(1, int(cases * share)),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        return lambda test: seed(number)(profile(given(strategy)(test)))

    def clean() -> None:
        shutil.rmtree("OUT", ignore_errors=True)

    def with_file(case: tuple[str, bytes, list[str]]) -> None:
        name, data, arguments = case
        clean()
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(data)
        known.add(name)
        check_rule(arguments)

    def alone(arguments: list[str]) -> None:
        clean()
        check_rule(arguments)

    limited(commands(only), 0.5 if only else 0.3)(alone)()
    if only is None or only in MAP_VALUES:
        limited(map_commands(only), 0.5 if only else 0.1)(alone)()
    for strategy in () if only else (recipe_files(), damaged(), manifests()):
        limited(strategy, 0.2)(with_file)()
    return ends


def batch(number: int, cases: int, only: str | None = None) -> Counter[str]:
    """Checks one batch of cases in another process and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                sys.executable,
                "-X",
                "faulthandler",
                __file__,
                f"--cases={cases}",
                f"--batch={number}",
                *([f"--command={only}"] if only else []),
            ],
            capture_output=True,
            text=True,
            cwd=folder,
            env=os.environ | {"RAY_TMPDIR": folder},  # in which `--ray=auto` finds no cluster
        )
        last = Path(folder, CURRENT).read_text()
    result = f"exit code {done.returncode} at {last}\n{done.stderr[-5000:]}" if done.returncode else done.stdout
    print(f"batch {number}: {result}", end="", file=sys.stderr, flush=True)
    return Counter([BROKEN]) if done.returncode else Counter(json.loads(done.stdout))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1, help="number that run at the same time")
    parser.add_argument("--command", choices=sorted(COMMANDS), help="only flags of this command")
    parser.add_argument("--batch", type=int, help="run only the batch of this number, in this folder")
    options = parser.parse_args()
    if options.batch is not None:
        prepare()
        print(json.dumps(check(options.cases, options.batch, options.command)))
    else:
        sizes = [min(BATCH, options.cases - start) for start in range(0, options.cases, BATCH)]
        with ThreadPoolExecutor(options.processes) as pool:
            ends = sum(pool.map(batch, range(len(sizes)), sizes, [options.command] * len(sizes)), Counter[str]())
        print(f"{sum(ends.values())} cases: {', '.join(f'{end} {times}' for end, times in sorted(ends.items()))}")
        sys.exit(1 if ends[BROKEN] else 0)
