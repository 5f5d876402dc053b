"""Compare frames of panning 1,000,000 points: the explorer's own map, and regl-scatterplot 1.16 from npm.

    npm install regl-scatterplot esbuild
    echo 'import create from "regl-scatterplot"; window.createScatterplot = create;' > entry.js
    npx esbuild entry.js --bundle --minify --format=iife --outfile=bundle.js
    python benchmarks/explorer/regl_scatterplot.py bundle.js

In Chromium without a GPU; both sides have as many points, in eight clusters, on a plane of the same size, and
the same movements of the mouse. They alternate; the result is printed as JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from served import explore_points, served

_SPEC = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("__main__.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
pages = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(pages)

N_POINTS, N_EVENTS, N_REPEATS = 1_000_000, 60, 3
DRAW = """async ([width, height, n]) => {
  document.body.innerHTML = `<canvas id="plane" style="width:${width}px;height:${height}px"></canvas>`;
  const colours = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000"];
  const plot = createScatterplot({ canvas: document.querySelector("#plane"), width, height, pointSize: 1.6,
    opacity: 0.35, pointColor: colours, colorBy: "category", performanceMode: true });
  let seed = 1;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  const z = Float32Array.from({ length: n }, () => Math.floor(8 * random()));
  const x = Float32Array.from(z, (k) => 0.5 * Math.cos(k) + 0.1 * normal());
  const y = Float32Array.from(z, (k) => 0.5 * Math.sin(k) + 0.1 * normal());
  const start = performance.now();
  await plot.draw({ x, y, z }, { zDataType: "categorical" });
  return performance.now() - start;
}"""


def own(browser, url: str) -> dict[str, dict]:
    page = pages.Measured(browser, url, N_EVENTS)
    size = page.page.locator("#plane").bounding_box()
    found = {"frames": page.pan(), "size": [size["width"], size["height"]]}
    page.page.close()
    return found


def other(browser, bundle: str, size: list[float]) -> dict[str, dict]:
    page = pages.Measured.__new__(pages.Measured)
    page.page, page.n_events = browser.new_page(viewport={"width": 1280, "height": 860}), N_EVENTS
    page.page.add_script_tag(path=bundle)
    first = page.page.evaluate(DRAW, [*size, N_POINTS])
    page.page.wait_for_timeout(3000)
    page.page.evaluate(pages.FRAMES)
    page.move_mouse()
    page.page.evaluate("window.stop_ = true")
    page.page.mouse.up()
    frames = pages.quantiles(page.page.evaluate("window.frames_.slice(2)"))
    page.page.close()
    return {"frames": frames, "first drawing": round(first)}


def main(bundle: str) -> None:
    found: dict[str, list[dict]] = {"isthmus": [], "regl-scatterplot": []}
    with served(explore_points, N_POINTS) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=pages.shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(N_REPEATS):
            found["isthmus"].append(own(browser, url))
            found["regl-scatterplot"].append(other(browser, bundle, found["isthmus"][0]["size"]))
            print(json.dumps(found), "load", round(os.getloadavg()[0], 1), flush=True)
    for name, runs in found.items():
        print(name, {key: float(np.median([run["frames"][key] for run in runs])) for key in ("median", "p95", "max")})


if __name__ == "__main__":
    main(sys.argv[1])
