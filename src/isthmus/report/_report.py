"""The report on one model: a page, and the same numbers as JSON."""

from __future__ import annotations

import html
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from isthmus import __version__
from isthmus._atomic import atomic_write
from isthmus.assessment import Examination, examine
from isthmus.report._numbers import as_numbers
from isthmus.report._sections import cards, sections
from isthmus.report.page import Page, Verdict, check_installed, render

__all__ = ["Report", "facts", "image_shape_of", "make_report"]


@dataclass(frozen=True)
class Report:
    """A report on one model or two, which notebooks display.

    Attributes
    ----------
    html : str
        The page: one file without external links.
    numbers : dict
        What the page shows, ready for JSON: "verdict" is a list of checks with an id, a status and a sentence.
    """

    html: str
    numbers: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Write the page, and its numbers next to it.

        Parameters
        ----------
        path : str or Path
            The page, as "report.html"; the numbers are written to "report.json".

        Raises
        ------
        ValueError
            If the path does not end in .html.
        """
        page = Path(path)
        if page.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"{path}: a report is a page: name a file that ends in .html.")
        with atomic_write(page) as temporary:
            temporary.write_text(self.html, encoding="utf-8")
        with atomic_write(page.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(self.numbers, allow_nan=False) + "\n", encoding="utf-8")

    def __repr__(self) -> str:
        lines = [f"{c['id']} {c['status']:<8} {c['sentence']}" for c in self.numbers["verdict"]]
        return "\n".join(["Report of " + self.numbers["data"]["name"], *lines])

    def _repr_html_(self) -> str:
        """Return the page in a frame, for notebooks."""
        return (
            f'<iframe srcdoc="{html.escape(self.html, quote=True)}" title="Report" loading="lazy" '
            'sandbox="" style="width: 100%; height: 42rem; border: 1px solid #8888; border-radius: 6px"></iframe>'
        )


def make_report(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    labels: Any = None,
    X_train: Any = None,
    y_train: Any = None,
    image_shape: tuple[int, ...] | None = None,
    name: str = "X",
    max_rows: int = 1000,
    n_draws: int | None = None,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Report:
    """Examine a fitted model on rows that it was not fitted to, and write one page about it.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator.
    X : array-like, table or source of shape (N, D)
        Held-out samples.
    y : array-like, optional
        Conditions of a ConditionalVAE; labels for any other model.
    labels : array-like of shape (N,), optional
        Labels, which colour the latent plane.
    X_train, y_train : array-like, optional
        Training samples, and their conditions: overfitting is then checked, and PCA, FactorAnalysis and GaussianMixture
        are fitted to them. Otherwise these three are fitted to two thirds of X and score the others, three times.
    image_shape : tuple of int, optional
        (height, width), or (3, height, width), if samples are images; that of the estimator by default.
    name : str, default="X"
        Name of the data on the page.
    max_rows : int, default=1000
        Number of samples to use, drawn at random if there are more; fewer of a model with more than 158 units.
    n_draws : int, optional
        Importance samples per row. By default as many as ``score_samples`` draws, which then returns the same log p(x).
    seed : int, default=0
        Seed of all random numbers.
    progress : callable, optional
        Called with the name of each part before it is computed.

    Returns
    -------
    Report

    Raises
    ------
    ImportError
        If matplotlib or jinja2 is not installed.
    ValueError
        If the samples do not fit the model, or there are fewer than two.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> X = load_iris().data
    >>> model = VAE(2, max_epochs=20, random_state=0).fit(X[::2])
    >>> report = make_report(model, X[1::2], X_train=X[::2], n_draws=20)
    >>> report.numbers["verdict"][2]["id"]
    'ISTH-03'
    """
    check_installed()
    start = time.perf_counter()
    shape = image_shape_of(estimator, image_shape)
    examination = examine(
        estimator,
        X,
        y,
        labels=labels,
        X_train=X_train,
        y_train=y_train,
        images=shape is not None,
        max_rows=max_rows,
        n_draws=n_draws,
        seed=seed,
        progress=progress,
    )
    if progress is not None:
        progress("page")
    made = sections(examination, shape)
    page = Page(
        title=f"{type(estimator).__name__} on {name}",
        lead=_lead(examination, name, shape),
        cards=cards(examination),
        header=(),
        rows=(),
        caption="",
        sections=made,
        facts=facts(examination, seed) | {"Time": f"{time.perf_counter() - start:.0f} s"},
        verdict=[Verdict(check.id, check.title, check.sentence, check.status) for check in examination.checks],
    )
    return Report(render(page), as_numbers(examination, name))


def image_shape_of(estimator: Any, given: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return the shape of images, with a channel only where there are three."""
    shape = given if given is not None else getattr(estimator, "image_shape", None)
    if shape is None or estimator._codec is not None:
        return None
    shape = tuple(int(n) for n in shape)
    return shape[1:] if len(shape) == 3 and shape[0] == 1 else shape


def _lead(examination: Examination, name: str, shape: tuple[int, ...] | None) -> str:
    """Return the first sentences: what was fitted, and what it is examined on."""
    estimator = examination.context.estimator
    n, used = examination.n_rows, len(examination.index)
    rows = f"{n:,} rows" if n == used else f"{used:,} of {n:,} rows, drawn at random,"
    size = f"images of {' × '.join(map(str, shape))} pixels" if shape else f"{estimator.n_features_in_} columns"
    epochs = f"{estimator.n_iter_} epoch{'' if estimator.n_iter_ == 1 else 's'}"
    warnings = sum(check.status == "warning" for check in examination.checks)
    passed = sum(check.status == "good" for check in examination.checks)
    verdict = f"{passed} checks passed, and {warnings or 'none'} {'gives' if warnings == 1 else 'give'} a warning."
    return (
        f"A {type(estimator).__name__} with {estimator.n_components_} latent "
        f"{'unit' if estimator.n_components_ == 1 else 'units'}, trained for {epochs} and examined "
        f"on {rows} of {name}: {size}. {verdict}"
    )


def facts(examination: Examination, seed: int) -> dict[str, str]:
    """Return what is at the end of a page: versions and seeds."""
    import numpy as np
    import sklearn
    import torch

    versions = {
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "NumPy": np.__version__,
    }
    likelihood = examination.assessment.likelihood
    draws = "" if likelihood is None else f"; {likelihood.n_draws} importance samples per row"
    return {
        "Written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z") + f" by isthmus {__version__}",
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "Seed": f"{seed}{draws}",
        "Numbers": "the .json file of the same name, next to this page, has all of them",
    }
