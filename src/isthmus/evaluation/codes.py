"""Quality of codes: whether they preserve neighbours, and whether neighbours share a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isthmus.evaluation._neighbours import as_rows, distances, nearest, same_width

__all__ = ["neighbour_accuracy", "trustworthiness"]


def trustworthiness(X: Any, Z: Any, k: int = 5) -> float:
    r"""Return the trustworthiness of an embedding, between 0 and 1.

    .. math:: 1 - \frac{2}{N k (2N - 3k - 1)} \sum_i \sum_{j \in N_k(z_i)} \max(0, r(i, j) - k)

    where r(i, j) is the rank of sample j among the neighbours of sample i. It is 1 if all neighbours of each code are
    neighbours of its sample.

    Parameters
    ----------
    X : array-like of shape (N, D)
        Samples.
    Z : array-like of shape (N, K)
        Their codes.
    k : int, default=5
        Number of neighbours; less than N / 2.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If X and Z differ in length, have a value that is not finite, or `k` is out of range.

    See Also
    --------
    sklearn.manifold.trustworthiness : The same number, with memory proportional to N^2.

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
        raise ValueError(f"X has {n} samples and Z has {len(codes)}; there must be one code per sample.")
    if not 1 <= k < n / 2:
        raise ValueError(f"k={k!r} must be at least 1 and less than half the number of samples, {n}.")
    neighbours = nearest(codes, None, k)
    excess = 0
    for part, block in distances(rows):
        ordered = block.sort(dim=1).values
        rank = torch.searchsorted(ordered, block.gather(1, neighbours[part])) + 1
        excess += int((rank - k).clamp_min(0).sum())
    return 1 - 2 * excess / (n * k * (2 * n - 3 * k - 1))


def neighbour_accuracy(train: Any, train_labels: Any, test: Any, test_labels: Any, k: int = 5) -> float:
    """Return the accuracy of k-nearest-neighbour classification of codes.

    A tie goes to the label that sorts first, as in scikit-learn's ``KNeighborsClassifier``.

    Parameters
    ----------
    train, test : array-like of shape (N, K) and (M, K)
        Codes.
    train_labels, test_labels : array-like of shape (N,) and (M,)
        Labels of any sortable kind.
    k : int, default=5
        Number of neighbours.

    Returns
    -------
    float
        Fraction of test codes with the right label.

    Raises
    ------
    ValueError
        If the numbers of codes and labels differ, there are fewer than `k` training codes, or a value is not finite.

    References
    ----------
    Cover & Hart (1967), Nearest Neighbor Pattern Classification.

    Examples
    --------
    >>> neighbour_accuracy([[0.0], [1.0], [9.0]], ["a", "a", "b"], [[0.4], [8.0]], ["a", "b"], k=1)
    1.0
    """
    if k < 1:
        raise ValueError(f"k={k!r} must be at least 1: the number of neighbours.")
    codes, others = as_rows(train, "train", k), as_rows(test, "test")
    same_width(codes, others, "train and test")
    names, index = np.unique(np.asarray(train_labels), return_inverse=True)
    if len(index) != len(codes) or len(np.asarray(test_labels)) != len(others):
        raise ValueError("There must be one label for each code.")
    votes = torch.nn.functional.one_hot(torch.from_numpy(index)[nearest(others, codes, k)], len(names)).sum(1)
    return float(np.mean(names[votes.argmax(1).numpy()] == np.asarray(test_labels)))
