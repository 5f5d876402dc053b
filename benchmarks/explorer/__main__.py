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
from playwright.sync_api import sync_playwright
from served import explore_digits, explore_points, explore_table, served

RESULTS = Path(__file__).resolve().parents[1] / "results" / "explorer.json"
FRAMES = """() => { window.frames_ = []; let last = performance.now(); const tick = (t) => {
  window.frames_.push(t - last); last = t; if (!window.stop_) requestAnimationFrame(tick); };
  window.stop_ = false; requestAnimationFrame(tick); }"""


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
    found = {}
    for name, make in (("digits", explore_digits), ("mixed table of 8 columns", explore_table)):
        with served(make) as url:
            page = Measured(browser, url, n_events)
            found[name] = page.drag()
            page.page.close()
    return found


def panning(browser, n: int, n_events: int) -> dict[str, dict]:
    found = {}
    with served(explore_points, n) as url:
        for name, address in (("webgl", ""), ("density", "?map=density")):
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
