"""The demo with one epoch: its files, its table, and a page without external resources."""

import base64
import contextlib
import io
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.demo import run as demo
from isthmus.demo.models import make_models

NAMES = ["autoencoder", "sparse", "denoising", "contractive", "vae", "conditional_vae"]
CLASSES = [
    "Autoencoder",
    "SparseAutoencoder",
    "DenoisingAutoencoder",
    "ContractiveAutoencoder",
    "VAE",
    "ConditionalVAE",
]


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """The folder that the demo writes with one epoch, its stdout and its stderr."""
    folder = tmp_path_factory.mktemp("demo") / "new"
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the test is that it is not used
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        demo.run(folder, max_epochs=1)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    return folder, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def page(outcome):
    return Tags((outcome[0] / "report.html").read_text(encoding="utf-8"))


def test_files(outcome):
    files = {file.name for file in outcome[0].iterdir()}
    assert files == {f"{name}.safetensors" for name in NAMES} | {"report.html", "demo.png"}


@pytest.mark.parametrize(("name", "cls"), list(zip(NAMES, CLASSES, strict=True)))
def test_models_load(outcome, name, cls):
    model = isthmus.load(outcome[0] / f"{name}.safetensors")
    assert type(model).__name__ == cls
    assert model.n_iter_ == 1
    assert model.n_components == make_models()[name].n_components
    assert model.reconstruct(np.zeros((2, 64), np.float32)).shape == (2, 64)


def test_table_has_finite_numbers_for_each_model(outcome):
    lines = outcome[1].strip().splitlines()
    assert lines[0].split()[:4] == ["Model", "K", "MSE", "PCA"]
    for line, cls in zip(lines[1:7], CLASSES, strict=True):
        assert line.startswith(cls + " ")
        numbers = [float(number) for number in re.findall(r"(?<![\w.])-?\d+\.?\d*", line)]
        assert len(numbers) >= 5  # K, two errors, the strength and at least one comparison
        assert all(map(math.isfinite, numbers))
        assert not re.search(r"\b(nan|inf)\b", line)
    assert "U(0, 1)" in outcome[1]


def test_stderr_has_the_progress_and_the_path_of_the_page(outcome):
    folder, _, err = outcome
    assert [line.split(":")[0] for line in err.splitlines()[:6]] == CLASSES
    page, explorer = err.splitlines()[-2:]
    assert str(folder / "report.html") in page
    assert f"isthmus explore {folder / 'vae.safetensors'} digits" in explorer


def test_page_has_no_external_resources(outcome, page):
    html = (outcome[0] / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|//\w+\.|@import|url\(", html)
    assert not page.of("script")
    assert not page.of("link")
    policy = next(tag for tag in page.of("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert all(tag["href"].startswith("#") for tag in page.of("a"))
    assert not any(key == "style" or key.startswith("on") for _, tag in page.tags for key in tag)


def test_page_has_a_section_for_each_model_and_no_dead_links(page):
    assert all(cls in page.text for cls in CLASSES)
    anchors = {tag["id"] for tag in page.of("section")}
    assert {tag["href"][1:] for tag in page.of("a")} == set(NAMES) <= anchors


def test_pictures_are_png_with_a_description(page):
    pictures = [tag["src"] for tag in page.of("img")]
    assert len(pictures) == 10
    assert all(tag["alt"] for tag in page.of("img"))
    for uri in pictures + [tag["srcset"] for tag in page.of("source")]:
        kind, data = uri.split(",", 1)
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
            image.load()
            assert image.format == "PNG"
            assert min(image.size) > 100


def test_page_has_versions_seed_and_times_but_no_path(outcome, page):
    assert all(word in page.text for word in ("PyTorch", "scikit-learn", "Seed", "Training", isthmus.__version__))
    assert str(outcome[0].parent) not in page.text


def test_overview(outcome):
    file = outcome[0] / "demo.png"
    assert file.stat().st_size < 200_000
    with Image.open(file) as image:
        assert image.size[0] == 1200


def test_a_folder_that_cannot_be_written_is_an_error_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.os, "access", lambda *_: False)
    monkeypatch.setattr(demo, "train_models", lambda *_: pytest.fail("trained"))
    with pytest.raises(PermissionError, match="cannot be written"):
        demo.run(tmp_path)
