"""The check of the HTML pages, which `make docs` runs, finds what a page loads from another host."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("file", "text", "n"),
    [
        ("a.html", '<script src="https://cdn.example/m.js"></script>', 1),
        (
            "a.html",
            '<link rel="stylesheet" href="//cdn.example/a.css"/><img alt="" src="http://cdn.example/a.png"/>',
            2,
        ),
        ("deep/a.css", "@import 'https://cdn.example/a.css'; b {background: url(\"//cdn.example/b.woff2\")}", 2),
        ("a.html", '<a href="https://elsewhere.example/">a link</a> <script src="_static/a.js?v=1"></script>', 0),
        ("a.css", "b {background: url(../fonts/b.woff2)} c {background: url('data:image/svg+xml,%3csvg')}", 0),
    ],
)
def test_what_is_loaded_from_other_hosts_is_found(tmp_path, file, text, n):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    found = load("offline").loaded_from_elsewhere(tmp_path)
    assert len(found) == n
    assert all(line.startswith(file) for line in found)


def test_formulas_become_mathml():
    mathml = load("mathml").mathml
    assert "<mfrac>" in mathml(r"\log \frac1S", display=False)
    assert 'display="block"' in mathml(r"a = b \tag{1}", display=True)
    assert "<mtext>n_draws</mtext>" in mathml(r"\text{n\_draws}", display=False)
    with pytest.raises(ValueError, match="no MathML for this formula"):
        mathml(r"\nosuchcommand x", display=True)
