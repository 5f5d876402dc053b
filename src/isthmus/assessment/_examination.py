"""The results of examining a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isthmus.assessment._columns import Dependencies, Effects, Marginal
from isthmus.assessment._context import Context
from isthmus.assessment._evidence import Check
from isthmus.assessment._odd import OddRow
from isthmus.assessment._references import LinearReconstruction, Reference
from isthmus.assessment._results import Assessment
from isthmus.assessment._two_sample import ClassifierTest

__all__ = ["Examination"]

Array = np.ndarray


@dataclass(frozen=True)
class Examination:
    """Everything that the report on a model shows, as returned by :func:`examine`.

    Attributes
    ----------
    context : Context
        The model and the rows that were used.
    index : ndarray of shape (N,)
        Indices of the used rows in the data.
    n_rows : int
        Number of rows of the data.
    assessment : Assessment
        All metrics.
    checks : list of Check
        The verdict.
    codes : ndarray of shape (N, K)
        Codes of the rows.
    scores : ndarray of shape (N,)
        log p(x) of the rows, or log p(x|code) of models without a density, as `score_name` says.
    score_name : str
        Which of both.
    references : list of Reference
        Simple density models of the same rows; empty if not comparable.
    linear : LinearReconstruction or None
        Reconstructions by PCA.
    samples : ndarray, DataFrame or None
        Samples of the model.
    classifier : ClassifierTest or None
        How well trees tell samples from rows.
    sample_scores, training_scores : ndarray or None
        Scores of samples of the model, and of training rows.
    effects : Effects or None
        What each unit moves.
    marginals : list of Marginal
        Distributions of columns.
    dependencies : Dependencies or None
        Of pairs of columns.
    odd : list of OddRow
        The least likely rows.
    labels : ndarray or None
        Labels of the rows.
    not_computed : dict of str to str
        Why something is missing.
    """

    context: Context
    index: Array
    n_rows: int
    assessment: Assessment
    checks: list[Check]
    codes: Array
    scores: Array
    score_name: str
    references: list[Reference]
    linear: LinearReconstruction | None
    samples: Any
    classifier: ClassifierTest | None
    sample_scores: Array | None
    training_scores: Array | None
    effects: Effects | None
    marginals: list[Marginal]
    dependencies: Dependencies | None
    odd: list[OddRow]
    labels: Array | None
    not_computed: dict[str, str] = field(default_factory=dict)

    @property
    def has_density(self) -> bool:
        """Whether scores are log p(x)."""
        return bool(self.context.estimator.has_density)
