"""A mixture of normal distributions, fitted to codes."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, Self

import numpy as np

__all__ = ["NormalMixture"]

_MAX_ITER, _TOLERANCE = 60, 3e-4
_MIN_EIGENVALUE = 1e-4  # of a component's covariance, for codes of variance about 1


class NormalMixture(NamedTuple):
    r"""A mixture of M normal distributions, :math:`\sum_m \pi_m N(\mu_m, C_m)`.

    Attributes
    ----------
    weights : ndarray of shape (M,)
        pi.
    means : ndarray of shape (M, K)
        mu.
    covariances : ndarray of shape (M, K, K)
        C.

    References
    ----------
    Fraley & Raftery (2007), Bayesian Regularization for Normal Mixture Estimation and Model-Based Clustering, for the
    shrinkage of the covariances.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @classmethod
    def fit(
        cls,
        codes: np.ndarray,
        weight: np.ndarray,
        n_mixture: int,
        shrinkage: float,
        seed: int,
        max_iter: int = _MAX_ITER,
    ) -> Self:
        """Fit to codes by EM, from k-means.

        Parameters
        ----------
        codes : ndarray of shape (N, K)
            Codes.
        weight : ndarray of shape (N,)
            Their weights.
        n_mixture : int
            M.
        shrinkage : float
            Number of codes as much as which the mean covariance of all components counts in that of each.
            scikit-learn's GaussianMixture, which has none, overfits small data.
        seed : int
            Seed of k-means.
        max_iter : int, default=60
            Most iterations of EM.
        """
        share = weight / weight.mean()
        member = share[:, None] * _kmeans(codes, weight, n_mixture, seed)
        monomials = _monomials(codes)
        last = -np.inf
        for _ in range(max_iter):
            weights = (member.sum(0) + 1) / (member.sum() + n_mixture)
            mixture = cls(weights, *_update(member, monomials, codes.shape[1], shrinkage))
            log_prob, member = _normalize(mixture._log_joint(monomials))
            member *= share[:, None]
            mean = float(np.average(log_prob, weights=weight))
            if mean - last < _TOLERANCE:
                break
            last = mean
        return mixture

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Return the log density (N,) of codes (N, K)."""
        return _normalize(self._log_joint(_monomials(codes)))[0]

    def _log_joint(self, monomials: np.ndarray) -> np.ndarray:
        """Return log pi_m + log N(code; mu_m, C_m), (N, M): a polynomial of second degree in each code."""
        n_components = self.means.shape[1]
        precisions = np.linalg.inv(self.covariances)
        linear = (precisions @ self.means[:, :, None])[:, :, 0]
        log_det = np.linalg.slogdet(self.covariances)[1]
        constant = np.log(self.weights) - 0.5 * (
            log_det + n_components * np.log(2 * np.pi) + (linear * self.means).sum(1)
        )
        rows, columns = _pairs(n_components)
        quadratic = np.where(rows == columns, -0.5, -1.0) * precisions[:, rows, columns]
        return np.asarray(monomials @ np.column_stack([constant, linear, quadratic]).T)


@cache
def _pairs(n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the pairs of units, each pair once."""
    return np.triu_indices(n_components)


def _monomials(codes: np.ndarray) -> np.ndarray:
    """Return 1, the codes, and their products in pairs, (N, 1 + K + K (K + 1) / 2).

    With them, the sums over samples in both steps of EM are products of matrices.
    """
    rows, columns = _pairs(codes.shape[1])
    return np.column_stack([np.ones(len(codes)), codes, codes[:, rows] * codes[:, columns]])


def _normalize(log_joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the log densities (N,), and the probability of each component for each code (N, M)."""
    highest = log_joint.max(axis=1, keepdims=True)
    member = np.exp(log_joint - highest)
    total = member.sum(axis=1, keepdims=True)
    member /= total
    return (highest + np.log(total))[:, 0], member


def _update(
    member: np.ndarray, monomials: np.ndarray, n_components: int, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return means (M, K) and shrunk covariances (M, K, K) from memberships (N, M)."""
    sums = member.T @ monomials
    size = sums[:, :1] + 1e-10
    means = sums[:, 1 : 1 + n_components] / size
    rows, columns = _pairs(n_components)
    scatter = np.empty((len(sums), n_components, n_components))
    scatter[:, rows, columns] = sums[:, 1 + n_components :] - size * means[:, rows] * means[:, columns]
    scatter[:, columns, rows] = scatter[:, rows, columns]
    pooled = scatter.sum(0) / size.sum()
    covariances = (scatter + shrinkage * pooled) / (size + shrinkage)[:, :, None]
    values, vectors = np.linalg.eigh(covariances)
    return means, (vectors * np.maximum(values, _MIN_EIGENVALUE)[:, None, :]) @ vectors.transpose(0, 2, 1)


def _kmeans(codes: np.ndarray, weight: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Return the membership (N, M) of samples in clusters, 0 or 1."""
    if n_clusters == 1:
        return np.ones((len(codes), 1))
    from sklearn.cluster import KMeans

    labels = KMeans(n_clusters, n_init=2, random_state=seed).fit_predict(codes, sample_weight=weight)
    return np.asarray(np.eye(n_clusters)[labels])
