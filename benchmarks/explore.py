"""How soon `inverter explore` shows pictures, in real Chromium.

    python benchmarks/explore.py
    python benchmarks/explore.py --model torchvision:squeezenet1_0 --weights FILE --layer features.9

Prints the seconds from the command to its link, to the page, to the first coarse picture on the screen and to the first
finished one; from opening a layer to 24 finished units in it; and from moving a slider of a mix to a changed picture,
several times. With --scroll, how smoothly the layer scrolls instead: while the pictures that come into sight are made,
and once nobody makes any (the server stands still). It needs Chromium and playwright.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from microscope_site import SCROLL

UNITS = 24
MOVES = 5
PATIENCE = 120.0

WATCH = """units => {
  const count = kind => document.querySelectorAll(`main img[src^="${kind}"]`).length;
  window.seen = {};
  const observer = new MutationObserver(() => {
    const finished = count("/files/");
    if (finished + count("data:") > 0) window.seen.coarse ??= Date.now() / 1000;
    if (finished > 0) window.seen.finished ??= Date.now() / 1000;
    if (finished >= units) { window.seen.complete = Date.now() / 1000; observer.disconnect(); }
  });
  observer.observe(document.body, { childList: true, subtree: true });
}"""
"""The page notes itself when pictures appear: each question to it costs time that the pictures lack."""
MIXED = "document.querySelector('.mix-view .exhibit img:last-of-type')?.getAttribute('src') ?? ''"


def until(page: Any, true: Callable[[Any], bool], expression: str, pause: float = 0.05) -> float:
    """Waits until the value of an expression in the page is as it should be; the time when it was."""
    deadline = time.perf_counter() + PATIENCE
    while not true(page.evaluate(expression)):
        if time.perf_counter() > deadline:
            sys.exit(f"gave up on {expression}")
        time.sleep(pause)
    return time.perf_counter()


def say(what: str, seconds: float) -> None:
    print(f"| {what} | {seconds:.2f} |", flush=True)


def measure(browser: Any, command: list[str], layer: str) -> None:
    """Starts the command and drives its page."""
    started, began = time.perf_counter(), time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        link = process.stdout.readline().split()[-1]
        print("| what | seconds |\n| --- | ---: |")
        say("command to link", time.perf_counter() - started)
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(link)
        base = page.url.partition("#")[0]
        say("command to page", time.perf_counter() - started)
        page.goto(f"{base}#/layer/{layer}")
        opened = time.time()
        page.evaluate(WATCH, UNITS)
        until(page, lambda seen: "complete" in seen, "window.seen", pause=1.0)
        seen = page.evaluate("window.seen")
        say("command to first coarse picture", seen["coarse"] - began)
        say("command to first finished picture", seen["finished"] - began)
        shown = page.evaluate("document.querySelectorAll('main .grid li').length")
        what = f"first coarse picture to {UNITS} finished units of {layer} ({shown} shown)"
        say(what, seen["complete"] - seen["coarse"])
        say(f"opening {layer} to {UNITS} finished units", seen["complete"] - opened)
        page.goto(f"{base}#/mix/{layer}/17=1,{layer}/3=-0.5")
        until(page, lambda source: source.startswith("/files/"), MIXED)
        times = []
        for move in range(MOVES):
            before = page.evaluate(MIXED)
            page.evaluate(
                "value => { const slider = document.querySelector('.mix-view .terms input[type=range]');"
                " slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); }",
                1 - 0.3 * (move + 1),
            )
            moved = time.perf_counter()
            times.append(until(page, lambda source, before=before: source not in ("", before), MIXED) - moved)
            until(page, lambda source: source.startswith("/files/"), MIXED)
        say(f"moving a slider to a changed picture (median of {MOVES})", statistics.median(times))
        say("the slowest of them", max(times))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def scroll(browser: Any, command: list[str], layer: str) -> None:
    """Starts the command, and scrolls through a layer."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(process.stdout.readline().split()[-1])
        page.goto(f"{page.url.partition('#')[0]}#/layer/{layer}")
        until(page, bool, "document.querySelectorAll('main img').length", pause=1.0)
        units = page.evaluate("document.querySelectorAll('main .grid li').length")
        print(f"| {units} units of {layer} | px/s | frames/s | 95 % ms |\n| --- | ---: | ---: | ---: |")
        for what in ("made while one scrolls", "the server stands still"):
            if what.startswith("the server"):
                process.send_signal(signal.SIGSTOP)
            for speed in (1500, 4000):
                page.evaluate("window.scrollTo(0, 0)")
                page.wait_for_timeout(1000)
                deltas = sorted(page.evaluate(SCROLL, [speed, 6]))
                shown = f"{1000 * len(deltas) / sum(deltas):.1f} | {deltas[int(0.95 * len(deltas))]:.1f}"
                print(f"| {what} | {speed} | {shown} |", flush=True)
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT)
        process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--weights")
    parser.add_argument("--layer", default="features.stage3")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scroll", action="store_true", help="measure how smoothly the layer scrolls")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        weights = ["--weights", given.weights] if given.weights else []
        command = [sys.executable, "-m", "recipes.cli", "explore", "--model", given.model, *weights]
        command += ["--device", given.device, "--out", f"{folder}/out", "--no-open"]
        (scroll if given.scroll else measure)(browser, command, given.layer)
        browser.close()


if __name__ == "__main__":
    main()
