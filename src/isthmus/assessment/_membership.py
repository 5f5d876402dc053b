"""Whether scores tell which rows a model was trained on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from isthmus.assessment._evidence import percent

__all__ = ["Membership"]


class Membership(NamedTuple):
    """How well a score tells training rows from other rows, who has nothing but the model and the row.

    Attributes
    ----------
    auc : float
        The probability that a training row has a higher score than another row, with one half for equal ones: the area
        under the curve of the test that takes rows with a high score for training rows. 0.5 if it cannot tell.
    chance : float
        The standard error of that around 0.5, if the scores of both are of one distribution.

    References
    ----------
    Yeom et al. (2018), Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting.
    """

    auc: float
    chance: float

    @classmethod
    def of(cls, training_scores: np.ndarray, scores: np.ndarray) -> Membership:
        """Return that of the scores of N training rows and M other rows."""
        n, m = len(training_scores), len(scores)
        ranks = rankdata(np.concatenate([training_scores, scores]))
        above = float(ranks[:n].sum()) - n * (n + 1) / 2
        return cls(above / (n * m), math.sqrt((n + m + 1) / (12 * n * m)))

    def sentence(self, score_name: str) -> str:
        """Return what this means."""
        return (
            f"Who guesses by {score_name} which of two rows was a training row is right in {percent(self.auc)} of the "
            f"cases; by chance, in {percent(0.5)} ± {percent(self.chance)}."
        )
