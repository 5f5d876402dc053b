"""The page that needs no server: `isthmus explore --export`."""

import re
from importlib import resources

import numpy as np
import pytest

from explorer_clients import Page
from isthmus import VAE, ConditionalVAE
from isthmus.cli import main
from isthmus.explorer import Explorer, export_page
from isthmus.explorer import _decoder as decoder_module
from isthmus.explorer._export import _MODULES
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP


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


def in_browser(browser, tmp_path, explorer):
    """Return the exported page of an explorer, opened from the disk."""
    (tmp_path / "plane.html").write_text(export_page(explorer), encoding="utf-8")
    return Page(browser, f"file://{tmp_path}/", offline=True).open("plane.html")


def assert_same_numbers(page, expected, code):
    """Compare what the page decodes with what the model does, relative to the numbers and to their range."""
    found = page.page.evaluate("code => isthmusDecode(code)", code.tolist())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.ptp(expected) / 10)


def test_the_page_decodes_any_code_as_the_model_does(browser, tmp_path, image_explorer):
    page = in_browser(browser, tmp_path, image_explorer)
    assert "holds the decoder of the model" in page.text("aside")
    other = image_explorer.importance[2]  # neither axis of the plane
    page.page.locator(f"#unit-{other}").evaluate("s => { s.value = 1.2345; s.dispatchEvent(new Event('input')); }")
    page.drag((0.5, 0.5), (0.613, 0.377))
    code = np.array(
        [float(page.page.locator(f"#unit-{k} + output").text_content().replace("−", "-")) for k in range(3)]
    )
    assert np.abs(code).min() > 0
    assert_same_numbers(page, image_explorer.model.inverse_transform(code[None])[0], code)
    shown = page.page.evaluate("""() => {
        const canvas = document.querySelector('#here-row canvas');
        return Array.from(canvas.getContext('2d').getImageData(0, 0, 8, 8).data).filter((_, i) => i % 4 === 0);
    }""")
    _, expected = image_explorer.decode(code[None])  # the sliders' texts have two decimals
    assert np.abs(np.array(shown) - np.frombuffer(expected, np.uint8)).max() <= 2
    assert page.problems == []


def one_of_few(kind, rng):
    """Return a model of few numbers, and what it decodes is given."""
    X = rng.poisson(3.0, (60, 12)).astype(float)
    if kind == "counts given numbers":
        y = rng.normal(size=(60, 2))
        network = MLP((5,), activation="gelu")
        model = ConditionalVAE(2, likelihood="poisson", network=network, max_epochs=2, random_state=0).fit(X, y)
        return model, X, y
    X[:, 3] = 7.0
    network, likelihood = {
        "tied": (MLP((5,), activation="tanh", tied=True), Gaussian(scale="feature")),
        "smooth": (MLP((6, 5), activation="silu"), "laplace"),
        "softplus": (MLP((5,), activation="softplus", unit_norm=True), "bernoulli"),
        "linear": (MLP(()), "gaussian"),
    }[kind]
    return VAE(2, likelihood=likelihood, network=network, max_epochs=2, random_state=0).fit(X), X, None


@pytest.mark.parametrize("kind", ["counts given numbers", "tied", "smooth", "softplus", "linear"])
def test_the_page_decodes_as_other_networks_and_likelihoods_do(browser, tmp_path, kind):
    model, X, y = one_of_few(kind, np.random.default_rng(0))
    explorer = Explorer(model, X, y)
    explorer.prepare(scores=False)
    page = in_browser(browser, tmp_path, explorer)
    code = np.array([0.71, -1.93])
    expected = model.inverse_transform(code[None], *explorer.given(None))[0]
    assert_same_numbers(page, expected, code)
    for k, v in enumerate(code):
        page.page.locator(f"#unit-{k}").evaluate(
            "(s, v) => { s.step = 'any'; s.value = v; s.dispatchEvent(new Event('input')); }", float(v)
        )
    texts = page.page.locator("#here-row td:nth-of-type(1)").all_text_contents()
    np.testing.assert_allclose([float(text) for text in texts], expected, rtol=1e-3, atol=1e-3)
    assert page.problems == []


def test_channels_come_last_on_the_page(browser, tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 12))
    explorer = Explorer(VAE(2, max_epochs=2, random_state=0).fit(X), X, image_shape=(3, 2, 2))
    explorer.prepare(scores=False)
    code = np.array([0.5, -0.5])
    expected = explorer.model.inverse_transform(code[None])[0].reshape(3, 4).T.ravel()
    assert_same_numbers(in_browser(browser, tmp_path, explorer), expected, code)


def test_what_the_page_cannot_compute_is_decoded_beforehand(
    monkeypatch, image_explorer, table_explorer, class_explorer
):
    for explorer in (table_explorer, class_explorer):
        page = export_page(explorer)
        assert "rows was decoded beforehand" in page
        assert '"decoder":' not in page
    assert '"decoder":' in export_page(image_explorer)
    monkeypatch.setattr(decoder_module, "MAX_NUMBERS", 1000)
    assert "A grid of 41 × 41 rows was decoded beforehand" in export_page(image_explorer)


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
