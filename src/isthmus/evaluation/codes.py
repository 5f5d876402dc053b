"""How good codes are: whether neighbours stay neighbours, and whether they share a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isthmus.evaluation._neighbours import as_rows, distances, nearest, same_width

__all__ = ["neighbour_accuracy", "trustworthiness"]


def trustworthiness(X: Any, Z: Any, k: int = 5) -> float:
    r"""Return how far the neighbours of a code are neighbours of its row too, 0 to 1.

    .. math:: 1 - \frac{2}{N k (2N - 3k - 1)} \sum_i \sum_{j \in N_k(z_i)} \max(0, r(i, j) - k)

    where r(i, j) is the rank of row j among the neighbours of row i.

    Parameters
    ----------
    X : array-like of shape (N, D)
        Rows.
    Z : array-like of shape (N, K)
        Their codes.
    k : int, default=5
        Neighbours; less than N / 2.

    See Also
    --------
    sklearn.manifold.trustworthiness : The same number; here memory is bounded.

    References
    ----------
    Venna & Kaski (2001), Neighborhood Preservation in Nonlinear Projection Methods.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> trustworthiness(X, 2 * X), trustworthiness(X, X[::-1]) < 0.6
    (1.0, True)
    """
    rows, codes = as_rows(X, "X", 2), as_rows(Z, "Z", 2)
    n = len(rows)
    if len(codes) != n:
        raise ValueError(f"X has {n} rows and Z has {len(codes)}; there must be one code for each row.")
    if not 1 <= k < n / 2:
        raise ValueError(f"k={k!r} must be at least 1 and less than half the number of rows, {n}.")
    neighbours = nearest(codes, None, k)
    excess = 0
    for part, block in distances(rows):
        ordered = block.sort(dim=1).values
        rank = torch.searchsorted(ordered, block.gather(1, neighbours[part])) + 1
        excess += int((rank - k).clamp_min(0).sum())
    return 1 - 2 * excess / (n * k * (2 * n - 3 * k - 1))


def neighbour_accuracy(train: Any, train_labels: Any, test: Any, test_labels: Any, k: int = 5) -> float:
    """Return the share of codes whose label is the most frequent one among their k nearest training codes.

    A tie goes to the label that sorts first, as in scikit-learn's ``KNeighborsClassifier``.

    Parameters
    ----------
    train, test : array-like of shape (N, K) and (M, K)
        Codes.
    train_labels, test_labels : array-like of shape (N,) and (M,)
        Their labels, of any kind that sorts.
    k : int, default=5
        Neighbours.

    References
    ----------
    Cover & Hart (1967), Nearest Neighbor Pattern Classification.

    Examples
    --------
    >>> neighbour_accuracy([[0.0], [1.0], [9.0]], ["a", "a", "b"], [[0.4], [8.0]], ["a", "b"], k=1)
    1.0
    """
    if k < 1:
        raise ValueError(f"k={k!r} must be at least 1: how many neighbours vote.")
    codes, others = as_rows(train, "train", k), as_rows(test, "test")
    same_width(codes, others, "train and test")
    names, index = np.unique(np.asarray(train_labels), return_inverse=True)
    if len(index) != len(codes) or len(np.asarray(test_labels)) != len(others):
        raise ValueError("There must be one label for each code.")
    votes = torch.nn.functional.one_hot(torch.from_numpy(index)[nearest(others, codes, k)], len(names)).sum(1)
    return float(np.mean(names[votes.argmax(1).numpy()] == np.asarray(test_labels)))
