"""How estimators look in a notebook: scikit-learn's drawing, and after ``fit`` the training curve and key numbers."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["History", "NotebookDisplay"]

_WIDTH, _HEIGHT = 220, 48  # of the curve, in pixels
_MAX_POINTS = 200
_BUILT = Path(__file__).parents[3] / "docs" / "_build" / "html" / "api"  # by `make docs`, in a checkout


class NotebookDisplay(BaseEstimator):
    """Base of how estimators are displayed.

    The drawing links to the documentation at the address in the environment variable ``ISTHMUS_DOCS``, or to the pages
    that ``make docs`` built; without either there is no link.
    """

    _doc_link_module = "isthmus"

    @property
    def _doc_link_template(self) -> str:
        """The address of an estimator's page, which scikit-learn completes."""
        address = os.environ.get("ISTHMUS_DOCS", "").rstrip("/")
        if address:
            return f"{address}/api/isthmus.{{estimator_name}}.html"
        if (_BUILT / f"isthmus.{type(self).__name__}.html").exists():
            return f"{_BUILT.as_uri()}/isthmus.{{estimator_name}}.html"
        return ""

    def _repr_html_inner(self) -> str:
        """Return scikit-learn's drawing, and what `fit` has found."""
        drawing: str = super()._repr_html_inner()
        return drawing + fit_summary(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """Return the same for notebooks, which ask for all forms at once."""
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += fit_summary(self)
        return bundle


def fit_summary(estimator: Any) -> str:
    """Return the training curve and the key numbers of a fitted estimator as HTML, or nothing before `fit`."""
    if not hasattr(estimator, "model_"):
        return ""
    history = estimator.history_
    seconds = sum(record.get("seconds", 0.0) for record in history)
    numbers = [
        f"{estimator.n_features_in_:,} columns → {estimator.n_components_:,} units",
        f"{sum(parameter.numel() for parameter in estimator.model_.parameters()):,} parameters",
        f"{estimator.n_iter_:,} epochs, {seconds:.1f} s",
    ]
    return _drawing(history, numbers)


class History(list[dict[str, float]]):
    """The records of all epochs, which a notebook shows as a small curve."""

    def _repr_html_(self) -> str:
        return _drawing(self, [f"{len(self):,} epochs"])


def _drawing(history: Sequence[dict[str, float]], numbers: list[str]) -> str:
    """Return the training curve as HTML, and below it some numbers and the last losses."""
    losses = [(name, label) for name, label in _LOSSES if history and name in history[-1]]
    last = [f"{label} {history[-1][name]:.4g} nats per row of scaled data" for name, label in losses]
    lines = [[record.get(name, math.nan) for record in history] for name, _ in losses]
    text = html.escape(" · ".join([*numbers, *last]))
    curve = _curve(lines, ", ".join([numbers[-1], *last]))
    return f'<div style="font: 13px/1.5 sans-serif; margin: 6px 0 0 2px">{curve}<div>{text}</div></div>'


_LOSSES = (("loss", "loss"), ("validation_loss", "loss of validation rows"))


def _curve(lines: Sequence[Sequence[float]], description: str) -> str:
    """Return lines of numbers by epoch as a small drawing: the second one is dashed."""
    values = [value for line in lines for value in line if math.isfinite(value)]
    if not values or len(lines[0]) < 2:
        return ""
    low, high = min(values), max(values)
    size = (high - low) or 1.0
    drawn = []
    for k, line in enumerate(lines):
        step = max(1, len(line) // _MAX_POINTS)
        shown = [i for i in range(len(line)) if i % step == 0 or i == len(line) - 1]
        points = " ".join(
            f"{2 + (_WIDTH - 4) * i / (len(line) - 1):.1f},{2 + (_HEIGHT - 4) * (high - line[i]) / size:.1f}"
            for i in shown
            if math.isfinite(line[i])
        )
        dashes = ' stroke-dasharray="4 3"' if k else ""
        drawn.append(f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"{dashes}/>')
    label = html.escape(f"Training curve: {description}", quote=True)
    size_of = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg {size_of} role="img" aria-label="{label}">{"".join(drawn)}</svg>'
