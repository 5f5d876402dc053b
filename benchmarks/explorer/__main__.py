"""Measure the explorer in Debian's Chromium, without a GPU: latencies of dragging, and frames of the map.

    python benchmarks/explorer            # minutes; writes benchmarks/results/explorer.json
    python benchmarks/explorer --quick    # fewer points and events; prints, writes nothing

Dragging is timed from the event of the mouse to the end of painting the row, in the browser. Frames are the intervals
of requestAnimationFrame while the mouse pans the map with all points on it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_digits

from isthmus import VAE
from isthmus.explorer import Explorer
from isthmus.explorer._server import Server

RESULTS = Path(__file__).resolve().parents[1] / "results" / "explorer.json"
FRAMES = """() => { window.frames_ = []; let last = performance.now(); const tick = (t) => {
  window.frames_.push(t - last); last = t; if (!window.stop_) requestAnimationFrame(tick); };
  window.stop_ = false; requestAnimationFrame(tick); }"""


def visits(n: int = 2000) -> pd.DataFrame:
    """Return a mixed table: categories, numbers, a date, a boolean, missing cells."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["cat", "dog", "bird"], n, p=[0.5, 0.4, 0.1])
    weight = pd.Series(kind).map({"cat": 4.0, "dog": 20.0, "bird": 0.1}) * rng.lognormal(0, 0.2, n)
    table = pd.DataFrame(
        {
            "kind": kind,
            "weight": weight.round(2),
            "fee": np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(4, 0.5, n).round(2)),
            "visits": rng.poisson(6, n),
            "day": rng.choice(pd.bdate_range("2024-01-01", periods=250), n),
            "chipped": rng.random(n) < np.where(kind == "dog", 0.9, 0.3),
            "length": (10 * weight**0.33 * rng.lognormal(0, 0.1, n)).round(1),
            "city": rng.choice(["Bern", "Basel", "Genf", "Chur"], n),
        }
    )
    table.loc[rng.random(n) < 0.2, "kind"] = None
    return table


def quantiles(values: list[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "median": round(float(np.median(values)), 1),
        "p95": round(float(np.quantile(values, 0.95)), 1),
        "max": round(float(np.max(values)), 1),
    }


class Measured:
    """A page of an explorer, once all rows are encoded and scored."""

    def __init__(self, browser, url: str, n_events: int) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 860})
        self.n_events = n_events
        self.page.goto(url)
        self.page.wait_for_selector("body[data-ready]", timeout=300_000)
        self.page.wait_for_timeout(3000)

    def move_mouse(self) -> None:
        box = self.page.locator("#plane").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for k in range(self.n_events):
            self.page.mouse.move(x + 150 * np.sin(k / 9), y + 150 * np.cos(k / 7))
            self.page.wait_for_timeout(16)

    def drag(self) -> dict[str, float]:
        self.page.evaluate("performance.clearMeasures()")
        self.move_mouse()
        self.page.mouse.up()
        self.page.wait_for_timeout(300)
        return quantiles(self.page.evaluate("performance.getEntriesByName('drag').map((e) => e.duration)"))

    def pan(self) -> dict[str, float]:
        self.page.get_by_label("Pan").check()
        self.page.evaluate(FRAMES)
        self.move_mouse()
        self.page.evaluate("window.stop_ = true")
        self.page.mouse.up()
        frames = self.page.evaluate("window.frames_.slice(2)")
        self.page.get_by_label("Drag").check()
        return quantiles(frames)

    def sent(self) -> dict[str, int]:
        """Return the bytes of each kind of answer so far."""
        entries = self.page.evaluate(
            "performance.getEntriesByType('resource').map((e) => [e.name.split('/').pop(), e.decodedBodySize])"
        )
        total: dict[str, int] = {}
        for name, size in entries:
            kind = name if name in ("unit", "colour", "decode", "prior") else "page" if "." in name else "other"
            total[kind] = total.get(kind, 0) + size
        return total


def dragging(browser, n_events: int) -> dict[str, dict]:
    X, y = load_digits(return_X_y=True)
    images = Explorer(VAE(8, max_epochs=10, random_state=0).fit(X), X, y, image_shape=(8, 8))
    table = Explorer(VAE(4, max_epochs=10, random_state=0).fit(visits()), visits())
    found = {}
    for name, explorer in (("digits", images), ("mixed table of 8 columns", table)):
        with Server(explorer, port=0).running() as url:
            page = Measured(browser, url, n_events)
            while explorer.n_scored < explorer.n_to_score:
                page.page.wait_for_timeout(1000)
            found[name] = page.drag()
            page.page.close()
    return found


def panning(browser, n: int, n_events: int) -> dict[str, dict]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 8, n)
    X = (3 * np.eye(8)[y] + rng.normal(size=(n, 8))).astype(np.float32)
    explorer = Explorer(VAE(4, max_epochs=5, random_state=0).fit(X[:1000]), X, y)
    explorer.n_to_score = 0  # the frames are those of the map alone
    found = {}
    for name, address in (("webgl", ""), ("density", "?map=density")):
        with Server(explorer, port=0).running() as url:
            page = Measured(browser, url + address, n_events)
            found[f"{n} points, {name}"] = {"frames": page.pan(), "bytes": page.sent()}
            page.page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    events = 60 if quick else 200
    result: dict = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        "load before": round(os.getloadavg()[0], 1),
        "unit": "milliseconds",
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        result["chromium"] = browser.version
        result["drag"] = dragging(browser, events)
        result["pan"] = {}
        for n in (1000, 100_000) if quick else (1000, 10_000, 100_000, 1_000_000):
            result["pan"] |= panning(browser, n, events)
            result["load after"] = round(os.getloadavg()[0], 1)
            print(json.dumps(result, indent=1), flush=True)
            if not quick:
                RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        browser.close()


if __name__ == "__main__":
    main()
