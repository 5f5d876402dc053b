"""A classifier that learns to tell samples from rows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from isthmus.assessment._context import Context, Stream

__all__ = ["ClassifierTest", "classifier_test"]

_MAX_LEVELS = 255  # of a column that the trees take as categories


class ClassifierTest(NamedTuple):
    """The accuracy of gradient-boosted trees that tell samples from rows, on samples and rows not used to fit them.

    Attributes
    ----------
    accuracy : float
        0.5 if samples are like rows.
    standard_error : float
        The standard error of the accuracy, if it were 0.5.
    n : int
        Number of rows, and of samples.
    """

    accuracy: float
    standard_error: float
    n: int


def classifier_test(ctx: Context, samples: Any) -> ClassifierTest:
    """Return the two-fold cross-validated accuracy of gradient-boosted trees, which see the columns of the table.

    Parameters
    ----------
    ctx : Context
        The model and the rows.
    samples : ndarray or DataFrame
        Samples of the model.

    Raises
    ------
    ValueError
        If there are fewer than 20 rows.

    References
    ----------
    Lopez-Paz & Oquab (2017), Revisiting Classifier Two-Sample Tests.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    rows, drawn = ctx.cells(ctx.rows()), ctx.cells(samples)
    n = min(len(rows.values), len(drawn.values))
    if n < 20:
        raise ValueError(f"there are {n} rows, and two folds need 20")
    X = np.concatenate([rows.values[:n], drawn.values[:n]])
    y = np.repeat([0, 1], n)
    seed = int(ctx.generator(Stream.SAMPLES).integers(2**31))
    trees = HistGradientBoostingClassifier(
        max_iter=50,
        max_leaf_nodes=15,
        early_stopping=False,
        categorical_features=rows.is_category & (rows.levels <= _MAX_LEVELS),
        random_state=seed,
    )
    folds = StratifiedKFold(2, shuffle=True, random_state=seed)
    return ClassifierTest(float(cross_val_score(trees, X, y, cv=folds).mean()), 0.5 / math.sqrt(2 * n), n)
