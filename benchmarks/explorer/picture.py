"""Write docs/images/explorer.png: the explorer with the VAE of the demo, half a digit, and its completions.

isthmus demo && python benchmarks/explorer/picture.py isthmus-demo/vae.safetensors docs/images/explorer.png
"""

import shutil
import sys

from PIL import Image
from playwright.sync_api import sync_playwright

import isthmus
from isthmus.data import load_bundled
from isthmus.explorer import Explorer
from isthmus.explorer._server import Server


def main(model: str, picture: str) -> None:
    digits = load_bundled("digits")
    explorer = Explorer(
        isthmus.load(model), digits.X, digits.y, image_shape=(8, 8), name="vae.safetensors", data_name="digits"
    )
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    server = Server(explorer, port=0)
    with server.running() as url, sync_playwright() as playwright:
        server.preparation.ready.wait(60)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        page.locator("#plane").focus()
        for key in ["Shift+ArrowRight"] * 6 + ["Shift+ArrowUp"] * 3:  # to a group of one digit
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        page.get_by_role("tab", name="Complete").click()
        page.get_by_role("button", name="Lower half").click()
        page.wait_for_selector("#panel-complete .sheet canvas", timeout=120_000)
        page.wait_for_timeout(1000)
        page.screenshot(path=picture)
        browser.close()
    Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
