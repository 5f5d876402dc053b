"""The page that needs no server: `isthmus explore --export`."""

import re
from importlib import resources

import numpy as np
import pytest

from explorer_clients import Page
from isthmus import VAE
from isthmus.cli import main
from isthmus.explorer import Explorer, export_page
from isthmus.explorer._export import _MODULES


@pytest.mark.parametrize("kind", ["image", "table"])
def test_the_exported_page_works_from_the_disk(browser, tmp_path, image_explorer, table_explorer, kind):
    path = tmp_path / "plane.html"
    path.write_text(export_page(image_explorer if kind == "image" else table_explorer), encoding="utf-8")
    page = Page(browser, f"file://{tmp_path}/", offline=True).open("plane.html")
    assert page.text("#counts") == "200 of 200 rows"
    show = "document.querySelector('#here-row canvas')?.toDataURL() ?? document.querySelector('#here-row').textContent"
    before = page.page.evaluate(show)
    page.drag((0.05, 0.05), (0.95, 0.9))
    page.wait_for(f"b => ({show}) !== b", before)
    page.page.locator("#plane").focus()
    page.page.keyboard.press("ArrowLeft")
    page.wait_for("/^Marker at unit/.test(document.querySelector('#status').textContent)")
    page.page.locator("#legend button").first.click()
    page.wait_for("document.querySelector('#counts').textContent !== '200 of 200 rows'")
    assert page.axe() == []
    assert page.problems == []


def test_the_page_holds_no_address_and_no_text_as_html(image_model, images):
    y = np.where(np.arange(200) % 2, "</script><b>", "plain")
    explorer = Explorer(image_model, images[0], y, image_shape=(8, 8), name="<i>.safetensors")
    explorer.prepare(scores=False)
    page = export_page(explorer)
    assert "</script><b>" not in page
    assert "<i>.safetensors" not in page
    assert not re.findall(r"""(?:src|href)=|https?://(?!www\.w3\.org/2000/svg)""", page)
    assert "default-src 'none'" in page


def test_names_of_modules_differ():
    """They are joined into one script."""
    folder = resources.files("isthmus.explorer") / "static"
    names = []
    for module in _MODULES:
        text = (folder / f"{module}.js").read_text(encoding="utf-8")
        names += re.findall(r"^(?:export )?(?:const|let|class|function|async function) (\w+)", text, re.MULTILINE)
    assert len(names) == len(set(names)), sorted(names)


def test_the_command_writes_the_page(tmp_path, monkeypatch, capsys, image_model):
    monkeypatch.chdir(tmp_path)
    image_model.save("vae.safetensors")
    assert main(["explore", "vae.safetensors", "--export", "plane.html"]) == 0
    assert "wrote plane.html (0." in capsys.readouterr().err
    assert "isthmus explorer" in (tmp_path / "plane.html").read_text(encoding="utf-8")
    assert main(["explore", "vae.safetensors", "--export", "plane.pdf"]) == 2
    assert "--export plane.pdf: must end in .html." in capsys.readouterr().err


def test_one_unit_has_no_plane(images):
    explorer = Explorer(VAE(1, max_epochs=1, random_state=0).fit(images[0]), images[0])
    explorer.prepare(scores=False)
    with pytest.raises(ValueError, match="the page needs a plane"):
        export_page(explorer)
