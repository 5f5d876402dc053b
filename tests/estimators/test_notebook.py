"""How estimators look in a notebook."""

import re

import pytest
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import VAE, Autoencoder, load
from isthmus.assessment import assess
from isthmus.estimators import _notebook

X = load_iris().data


@pytest.fixture(scope="module")
def fitted():
    return VAE(2, hidden_layer_sizes=(8,), max_epochs=5, early_stopping=True, random_state=0).fit(X)


def test_before_fit_it_is_scikit_learns_drawing():
    drawing = VAE(2)._repr_html_()
    assert "VAE" in drawing
    assert "<svg" not in drawing.partition("</style>")[2].partition("isthmus")[2]
    assert _notebook.fit_summary(VAE(2)) == ""


def test_after_fit_there_are_the_curve_and_the_key_numbers(fitted):
    for drawing in (fitted._repr_html_(), fitted._repr_mimebundle_()["text/html"]):
        summary = drawing[drawing.rindex('<div style="font: 13px') :]
        assert f"4 columns → 2 units · {sum(p.numel() for p in fitted.model_.parameters()):,} parameters" in summary
        last = fitted.history_[-1]
        assert f"loss {last['loss']:.4g} nats" in summary
        assert f"loss of validation rows {last['validation_loss']:.4g} nats" in summary
        lines = re.findall(r'<polyline points="([^"]*)"', summary)
        assert [len(line.split()) for line in lines] == [len(fitted.history_)] * 2
        assert 'role="img" aria-label="Training curve' in summary


def test_the_history_is_a_list_with_a_curve(fitted, tmp_path):
    assert isinstance(fitted.history_, list)
    shown = fitted.history_._repr_html_()
    assert shown.count("<polyline") == 2  # the losses of training and of validation rows
    assert f"{fitted.n_iter_} epochs · loss {fitted.history_[-1]['loss']:.4g} nats" in shown
    fitted.save(tmp_path / "m.safetensors")
    assert load(tmp_path / "m.safetensors").history_._repr_html_() == shown
    assert _notebook.History()._repr_html_().count("<svg") == 0


def test_what_assess_returns_is_the_text_of_evaluate(fitted):
    shown = assess(fitted, X[:20])._repr_html_()
    assert shown.startswith("<pre")
    assert "likelihood, in nats per" in shown


def test_a_long_history_is_thinned():
    curve = _notebook._curve([[1.0 / (1 + i) for i in range(5000)]], "many")
    points = re.search(r'points="([^"]*)"', curve)[1].split()
    assert 200 <= len(points) <= 202
    assert points[0] == "2.0,2.0"
    assert points[-1] == "218.0,46.0"
    assert _notebook._curve([[float("nan")] * 3], "none") == _notebook._curve([[1.0]], "one") == ""


def test_display_as_text(fitted):
    with config_context(display="text"):
        assert not hasattr(fitted, "_repr_html_")
        assert list(fitted._repr_mimebundle_()) == ["text/plain"]


def test_links_lead_to_our_documentation(monkeypatch, tmp_path, fitted):
    monkeypatch.setenv("ISTHMUS_DOCS", "https://docs.example/isthmus/")
    address = "https://docs.example/isthmus/api/isthmus.Autoencoder.html"
    assert address in Autoencoder(2)._repr_html_()
    assert address in make_pipeline(StandardScaler(), Autoencoder(2))._repr_html_()
    monkeypatch.delenv("ISTHMUS_DOCS")
    monkeypatch.setattr(_notebook, "_BUILT", tmp_path)
    assert fitted._get_doc_link() == ""
    (tmp_path / "isthmus.VAE.html").touch()
    assert fitted._get_doc_link() == f"{tmp_path.as_uri()}/isthmus.VAE.html"
