"""A mixture of normal distributions, fitted to codes."""

from __future__ import annotations

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
    def fit(cls, codes: np.ndarray, weight: np.ndarray, n_mixture: int, shrinkage: float, seed: int) -> Self:
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
        """
        share = weight / weight.mean()
        member = share[:, None] * _kmeans(codes, weight, n_mixture, seed)
        last = -np.inf
        for _ in range(_MAX_ITER):
            weights = (member.sum(0) + 1) / (member.sum() + n_mixture)
            mixture = cls(weights, *_update(member, codes, shrinkage))
            log_joint = mixture._log_joint(codes)
            log_prob = np.logaddexp.reduce(log_joint, axis=1)
            member = share[:, None] * np.exp(log_joint - log_prob[:, None])
            mean = float(np.average(log_prob, weights=weight))
            if mean - last < _TOLERANCE:
                break
            last = mean
        return mixture

    def log_prob(self, codes: np.ndarray) -> np.ndarray:
        """Return the log density (N,) of codes (N, K)."""
        return np.asarray(np.logaddexp.reduce(self._log_joint(codes), axis=1))

    def _log_joint(self, codes: np.ndarray) -> np.ndarray:
        """Return log pi_m + log N(code; mu_m, C_m), (N, M)."""
        factors = np.linalg.cholesky(self.covariances)
        log_det = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(1)
        white = (codes - self.means[:, None]) @ np.linalg.inv(factors).transpose(0, 2, 1)  # (M, N, K)
        constant = np.log(self.weights) - log_det - 0.5 * codes.shape[1] * np.log(2 * np.pi)
        return np.asarray((constant[:, None] - 0.5 * (white**2).sum(2)).T)


def _update(member: np.ndarray, codes: np.ndarray, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """Return means (M, K) and shrunk covariances (M, K, K) from memberships (N, M) and codes (N, K)."""
    size = member.sum(0) + 1e-10
    share = member.T[:, :, None]  # (M, N, 1)
    means = (share * codes).sum(1) / size[:, None]
    centred = codes - means[:, None]
    scatter = (share * centred).transpose(0, 2, 1) @ centred
    pooled = scatter.sum(0) / size.sum()
    covariances = (scatter + shrinkage * pooled) / (size + shrinkage)[:, None, None]
    values, vectors = np.linalg.eigh(covariances)
    return means, (vectors * np.maximum(values, _MIN_EIGENVALUE)[:, None, :]) @ vectors.transpose(0, 2, 1)


def _kmeans(codes: np.ndarray, weight: np.ndarray, n_clusters: int, seed: int) -> np.ndarray:
    """Return the membership (N, M) of samples in clusters, 0 or 1."""
    if n_clusters == 1:
        return np.ones((len(codes), 1))
    from sklearn.cluster import KMeans

    labels = KMeans(n_clusters, n_init=2, random_state=seed).fit_predict(codes, sample_weight=weight)
    return np.asarray(np.eye(n_clusters)[labels])
