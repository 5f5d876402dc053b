"""docs/which_model.md and docs/defaults.md hold the numbers that their benchmarks measured."""

import json
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("name", "page"), [("models", "which_model"), ("defaults", "defaults")])
def test_the_page_is_the_template_with_the_numbers_of_the_run(name, page, monkeypatch, tmp_path):
    folder = ROOT / "benchmarks" / name
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.syspath_prepend(str(folder))
    script = runpy.run_path(str(folder / "render.py"))
    script["main"].__globals__["PAGE"] = tmp_path / "page.md"
    script["main"](json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text()))
    for module in ("tables", "pages"):  # these are also names of other benchmarks' modules
        sys.modules.pop(module, None)
    again = f"run: python benchmarks/{name} --render"
    assert (tmp_path / "page.md").read_text() == (ROOT / "docs" / f"{page}.md").read_text(), again
