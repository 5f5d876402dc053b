"""The demo, rehearsed with one epoch: what it writes, what it prints, and that its page stands alone."""

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
from isthmus.demo.models import recipes

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
    """Every tag of a page with its attributes, and its text."""

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
def rehearsal(tmp_path_factory):
    """The folder of a demo of one epoch, what it printed, and what it told on stderr."""
    folder = tmp_path_factory.mktemp("demo") / "new"
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - what is checked is the global generator
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        demo.run(folder, max_epochs=1)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    return folder, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def page(rehearsal):
    return Tags((rehearsal[0] / "report.html").read_text(encoding="utf-8"))


def test_writes_six_models_a_page_and_a_picture_and_nothing_else(rehearsal):
    files = {file.name for file in rehearsal[0].iterdir()}
    assert files == {f"{name}.safetensors" for name in NAMES} | {"report.html", "demo.png"}


@pytest.mark.parametrize(("name", "cls"), list(zip(NAMES, CLASSES, strict=True)))
def test_models_load(rehearsal, name, cls):
    model = isthmus.load(rehearsal[0] / f"{name}.safetensors")
    assert type(model).__name__ == cls
    assert model.n_iter_ == 1
    assert model.n_components == recipes()[name].n_components
    assert model.reconstruct(np.zeros((2, 64), np.float32)).shape == (2, 64)


def test_table_has_a_line_for_each_model_and_finite_numbers(rehearsal):
    lines = rehearsal[1].strip().splitlines()
    assert lines[0].split()[:4] == ["model", "K", "MSE", "PCA"]
    for line, cls in zip(lines[1:7], CLASSES, strict=True):
        assert line.startswith(cls + " ")
        numbers = [float(number) for number in re.findall(r"(?<![\w.])-?\d+\.?\d*", line)]
        assert len(numbers) >= 5  # K, two errors, the model's number and at least one beside it
        assert all(map(math.isfinite, numbers))
        assert not re.search(r"\b(nan|inf)\b", line)
    assert "U(0, 1)" in rehearsal[1]  # what was done to make densities comparable is said


def test_progress_and_the_path_of_the_page_go_to_stderr(rehearsal):
    folder, _, err = rehearsal
    assert [line.split(":")[0] for line in err.splitlines()[:6]] == CLASSES
    assert str(folder / "report.html") in err.splitlines()[-1]


def test_page_needs_nothing_from_outside(rehearsal, page):
    html = (rehearsal[0] / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|//\w+\.|@import|url\(", html)
    assert not page.of("script")
    assert not page.of("link")
    policy = next(tag for tag in page.of("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert all(tag["href"].startswith("#") for tag in page.of("a"))
    assert not any(key == "style" or key.startswith("on") for _, tag in page.tags for key in tag)


def test_page_names_all_models_and_its_links_lead_somewhere(page):
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


def test_page_tells_versions_seed_and_times_and_no_path_of_the_machine(rehearsal, page):
    assert all(word in page.text for word in ("PyTorch", "scikit-learn", "Seed", "Training", isthmus.__version__))
    assert str(rehearsal[0].parent) not in page.text


def test_picture_for_the_readme(rehearsal):
    file = rehearsal[0] / "demo.png"
    assert file.stat().st_size < 200_000
    with Image.open(file) as image:
        assert image.size[0] == 1200


def test_a_folder_that_cannot_be_written_is_an_error_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(demo.os, "access", lambda *_: False)
    monkeypatch.setattr(demo, "train", lambda *_: pytest.fail("trained"))
    with pytest.raises(PermissionError, match="cannot be written"):
        demo.run(tmp_path)
