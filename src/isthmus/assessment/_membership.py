"""Membership inference: whether scores reveal which rows a model was trained on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from isthmus.assessment._evidence import percent

__all__ = ["Membership"]


class Membership(NamedTuple):
    """How well a score tells training rows from other rows, given only the model and a row.

    Attributes
    ----------
    auc : float
        The probability that a training row has a higher score than another row, where ties count one half: the area
        under the ROC curve of a test that calls rows with a high score training rows. 0.5 if it cannot tell them apart.
    chance : float
        The standard error of `auc` around 0.5, if both kinds of rows have the same distribution of scores.

    References
    ----------
    Yeom et al. (2018), Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting.
    """

    auc: float
    chance: float

    @classmethod
    def of(cls, training_scores: np.ndarray, scores: np.ndarray) -> Membership:
        """Return the result for the scores of N training rows and M other rows."""
        n, m = len(training_scores), len(scores)
        ranks = rankdata(np.concatenate([training_scores, scores]))
        above = float(ranks[:n].sum()) - n * (n + 1) / 2
        return cls(above / (n * m), math.sqrt((n + m + 1) / (12 * n * m)))

    def sentence(self, score_name: str) -> str:
        """Return the result in words."""
        return (
            f"Somebody who guesses by {score_name} which of two rows was a training row is right in "
            f"{percent(self.auc)} of the cases; by chance, in {percent(0.5)} ± {percent(self.chance)}."
        )
