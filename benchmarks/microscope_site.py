"""The size of a site, and how its largest layer opens and scrolls in Chromium.

    python benchmarks/microscope_site.py SITE           of a finished site
    python benchmarks/microscope_site.py SITE OUT       of one of 10,000 units, with layers of 2,000

The large site is synthetic: its units repeat the pictures, patches and metrics of a finished one (SITE), and its
connections are random. A frame's time is the distance between two calls of requestAnimationFrame while the page
scrolls; a blank page is measured next to it, for a busy machine drops frames of any page. CPU: of the main thread.
"""

import argparse
import json
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from recipes.microscope.site import build_site
from recipes.outputs.manifest import Manifest

LAYERS = (2000, 2000, 2000, 1000, 1000, 1000, 1000)
SCROLL = """([speed, seconds]) => new Promise((done) => {
  const deltas = [], start = performance.now();
  let last = start;
  const step = (now) => {
    deltas.push(now - last);
    window.scrollBy(0, (speed * (now - last)) / 1000);
    last = now;
    if (now - start < seconds * 1000) requestAnimationFrame(step); else done(deltas.slice(1));
  };
  requestAnimationFrame(step);
})"""
BLANK = '<!doctype html><body style="margin:0"><div style="height:60000px;background:linear-gradient(#fff,#888)"></div>'


def synthesise(site: Path, out: Path) -> None:
    """Writes the runs of a site with `LAYERS` from those of a finished one."""
    draw, runs, done = random.Random(0), out / "runs", site / "runs"
    pictures = [
        (path.parent, unit) for path in sorted(done.glob("gallery/*/manifest.json")) for unit in _read(path)["units"]
    ]
    gallery, patches = _read(next(done.glob("gallery/*/manifest.json"))), _read(done / "patches/manifest.json")
    responses = {(unit["layer"], unit["channel"]): unit for unit in patches["units"]}
    (runs / "patches").mkdir(parents=True)
    (runs / "patches/pictures").symlink_to((done / "patches/pictures").resolve())
    listed, shapes = [], {}
    for place, count in enumerate(LAYERS):
        layer, units, feeds = f"layer{place}", [], {}
        (runs / "gallery" / layer / "images").mkdir(parents=True)
        for channel in range(count):
            folder, unit = pictures[(7 * channel + 13 * place) % len(pictures)]
            file = f"images/{channel:04d}.png"
            (runs / "gallery" / layer / file).symlink_to((folder / unit["file"]).resolve())
            own = {"layer": layer, "channel": channel, "file": file}
            units.append({**unit, **own})
            listed.append({**responses[unit["layer"], unit["channel"]], **own, "name": f"word {channel % 97}"})
            below = [[draw.randrange(LAYERS[place - 1]), round(draw.random(), 3)] for _ in range(12)]
            feeds[str(channel)] = {"positive": below[:6], "negative": below[6:]}
        shapes[layer] = [count, 14, 14]
        _write(runs / "gallery" / layer / "manifest.json", {**gallery, "units": units, "planned": count})
        if place:
            about = {"inputs": f"layer{place - 1}", "method": "weights", "units": feeds}
            _write(runs / f"feeds/{layer}.json", about)
        means = np.random.default_rng(place).normal(size=(400, 40)) @ np.random.default_rng(1).normal(size=(40, count))
        (runs / "patches/activations" / layer).mkdir(parents=True)
        np.save(runs / "patches/activations" / layer / "mean.npy", means.astype(np.float32))
    for unit in listed:
        unit["file"] = f"maps/{unit['layer']}/{unit['channel']}.png"
    _write(runs / "patches/manifest.json", {**patches, "units": listed, "planned": len(listed)})
    state = _read(done / "patches/activations/activations.json")
    _write(runs / "patches/activations/activations.json", {**state, "shapes": shapes})
    shutil.copy(done / "patches/activations/pictures.json", runs / "patches/activations")
    rows = [
        {"layer": layer, "type": "Conv2d", "shape": shape, "field": "131", "weights": True}
        for layer, shape in shapes.items()
    ]
    facts = _read(done / "network.json")
    _write(runs / "network.json", {**facts, "layers": rows, "filters": None})


def measure(page: Path, browser: Any) -> None:
    """Opens a page and scrolls it, at two widths and two speeds."""
    for width in (1200, 390):
        opened = browser.new_page(viewport={"width": width, "height": 900})
        opened.goto(page.as_uri())
        loaded = opened.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        session = opened.context.new_cdp_session(opened)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        for speed in (1500, 4000):
            opened.evaluate("window.scrollTo(0, 0)")
            opened.wait_for_timeout(300)
            before = _task_seconds(session)
            deltas = sorted(opened.evaluate(SCROLL, [speed, 6]))
            cpu = 1000 * (_task_seconds(session) - before) / len(deltas)
            print(
                f"| {page.name} | {width} px | {loaded / 1000:.2f} s | {speed} px/s | "
                f"{1000 * len(deltas) / sum(deltas):.1f} | {statistics.median(deltas):.1f} | "
                f"{deltas[int(0.95 * len(deltas))]:.1f} | {cpu:.1f} ms |"
            )
        opened.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="a finished site, of inverter microscope with --images")
    parser.add_argument("out", type=Path, nargs="?", help="folder of a large one; what is there is used")
    options = parser.parse_args()
    site = options.site if options.out is None else options.out
    if options.out is not None:
        build(options.site, site)
    files = [path for path in site.rglob("*") if path.is_file() and "runs" not in path.parts]
    runs = sum(path.stat().st_size for path in (site / "runs").rglob("*") if path.is_file() and not path.is_symlink())
    units = {path.parent.name: len(_read(path)["units"]) for path in (site / "runs").glob("*/manifest.json")}
    units |= {path.parent.name: len(_read(path)["units"]) for path in (site / "runs/gallery").glob("*/manifest.json")}
    print(f"{units}: {sum(path.stat().st_size for path in files) / 1e6:.0f} MB in {len(files)} files")
    print(f"runs: {runs / 1e6:.0f} MB")
    largest = max((site / "layers").glob("*.html"), key=lambda path: path.stat().st_size)
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    print("| page | width | loaded | speed | frames/s | median ms | 95 % ms | CPU a frame |\n" + "| --- " * 8 + "|")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox", "--disable-gpu"])
        with tempfile.TemporaryDirectory() as folder:
            blank = Path(folder) / "blank.html"
            blank.write_text(BLANK)
            measure(blank, browser)
        measure(largest.resolve(), browser)
        browser.close()


def build(site: Path, out: Path) -> None:
    """Makes the large site, and once more, for there are no new pictures then."""
    if not out.exists():
        synthesise(site, out)
    known = Manifest.load(site / "manifest.json")
    for what in ("built", "built again"):
        start = time.process_time()
        build_site(out, Manifest("microscope", known.settings, known.model, sum(LAYERS)), {})
        print(f"{what} in {time.process_time() - start:.1f} s of CPU time")


def _task_seconds(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def _write(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


if __name__ == "__main__":
    main()
