"""The evidence for a verdict, and the checks that it consists of."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from isthmus.assessment._results import Assessment, Mean

__all__ = ["CHECKS", "Check", "Evidence", "check", "missing", "number", "percent", "plus_minus"]

Array = np.ndarray

CHECKS = {
    "ISTH-01": "Density",
    "ISTH-02": "Fit",
    "ISTH-03": "Latent units",
    "ISTH-04": "Columns",
    "ISTH-05": "Rows",
    "ISTH-06": "Reconstructions",
    "ISTH-07": "Samples",
    "ISTH-08": "Imputations",
    "ISTH-09": "Reliability of log p(x)",
}
"""The checks, by their id."""


class Check(NamedTuple):
    """A sentence of the verdict.

    Attributes
    ----------
    id : str
        Which check, as "ISTH-03".
    title : str
        What it is about.
    status : {"good", "note", "warning", "none"}
        Whether the check passed; a "note" is worth knowing, and "none" was not computed.
    sentence : str
        The finding, or why there is none.
    value, baseline : float or None
        The number, and what it is compared with.
    """

    id: str
    title: str
    status: str
    sentence: str
    value: float | None
    baseline: float | None


class Evidence(NamedTuple):
    """The evidence for a verdict; texts say why something is missing.

    Attributes
    ----------
    assessment : Assessment
        All metrics of held-out rows.
    scores : ndarray of shape (N,)
        Of the rows: log p(x), or log p(x|code) of models without a density.
    score_name : str
        Which of both.
    references : list of Reference or str
        PCA, FactorAnalysis and GaussianMixture, the best first.
    independent : Reference or str
        A model of independent columns.
    linear : LinearReconstruction or str
        Reconstructions by PCA.
    training_scores : ndarray or str
        Scores of training rows.
    sample_scores : ndarray or str
        Scores of samples of the model.
    training_explained : float or None
        Explained share of training rows.
    history : list of dict
        Training records.
    codes : ndarray of shape (N, K)
        Codes of the rows.
    dependence : dict of str to float or None
        Largest Cramer's V with any other column, by column; None for images.
    no_imputation : str
        Why no cells were imputed, if none were.
    """

    assessment: Assessment
    scores: Array
    score_name: str
    references: Any
    independent: Any
    linear: Any
    training_explained: float | None
    training_scores: Any
    sample_scores: Any
    history: list[dict[str, float]]
    codes: Array
    dependence: dict[str, float] | None
    no_imputation: str


def check(number: int, status: str, sentence: str, value: float | None = None, baseline: float | None = None) -> Check:
    """Return the check with this number."""
    name = f"ISTH-{number:02d}"
    return Check(name, CHECKS[name], status, sentence, value, baseline)


def missing(number: int, reason: str) -> Check:
    """Return a check that was not computed."""
    return check(number, "none", f"Not computed, because {reason}.")


def number(value: float) -> str:
    """Return a number with three significant digits, and a minus sign."""
    if not math.isfinite(value):
        return "not finite"
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2
    text = f"{value:.{digits}f}" if size >= 0.01 or value == 0 else f"{value:.1e}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """Return a share in per cent."""
    return f"{100 * share:.1f}\u00a0%".replace("-", "−")


def plus_minus(mean: Mean) -> str:
    """Return a mean with its standard error."""
    return number(mean.mean) + ("" if math.isnan(mean.standard_error) else f" ± {number(mean.standard_error)}")
