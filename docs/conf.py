"""Sphinx configuration: ``sphinx-build -W -b html docs docs/_build/html``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util import logging

import isthmus

sys.path.insert(0, str(Path(__file__).parent))  # for mathml.py and offline.py
from mathml import mathml
from offline import loaded_from_elsewhere

project = "isthmus"
author = "The isthmus developers"
copyright = author
release = version = isthmus.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "notes.template.md"]

# Docstrings inherited from scikit-learn refer to scikit-learn's documentation.
suppress_warnings = ["ref.ref", "ref.term", "autosummary.import_cycle"]

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "isthmus"
html_sidebars = {"**": []}  # all pages are at the top level
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

# The page of a module lists its __all__, so that new parts appear by themselves.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"  # types are in the docstrings
numpydoc_show_class_members = False


def _norms(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Replace ``||`` in plain-text formulas by a double bar, since reStructuredText reads two bars as markup.

    A zero-width space after it keeps the columns of simple tables where they are.
    """
    lines[:] = [line.replace("||", "‖\u200b") for line in lines]


def _visit_math(self: Any, node: nodes.Element) -> None:
    display = isinstance(node, nodes.math_block)
    try:
        html = mathml(node.astext(), display=display)
    except ValueError as error:
        logging.getLogger(__name__).warning(str(error), location=node)
    else:
        self.body.append(f'<div class="math">{html}</div>' if display else html)
    raise nodes.SkipNode


def _check_offline(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.format == "html" and (found := loaded_from_elsewhere(Path(app.outdir))):
        raise ExtensionError("loaded from another host:\n" + "\n".join(found))


def setup(app: Any) -> None:
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_math, None))
    app.connect("autodoc-process-docstring", _norms, priority=400)
    app.connect("build-finished", _check_offline)
