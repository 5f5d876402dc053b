r"""Factor analysis, the linear model from which training starts.

.. math:: x = b + W z + \epsilon, \qquad z \sim N(0, I), \qquad \epsilon \sim N(0, \mathrm{diag}(\psi))
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

__all__ = ["MIN_NOISE", "FactorAnalysis", "complete", "moments", "sample_rows"]

MIN_NOISE = 1e-3  # smallest noise variance of a feature, as a fraction of its variance
_MAX_ITER, _TOLERANCE = 500, 1e-5
_EIGEN_FEATURES = 200  # with more features, iterations by eigenvalues take too long, and those of EM are used
_EM_ITER = 30
_MISSING_ROWS = 2000  # with missing cells, to which EM is fitted
_FULL_RANK_NOISE = 0.05  # with K = D any smaller noise fits as well, and codes are sharper


class FactorAnalysis(NamedTuple):
    r"""Maximum-likelihood factor analysis, rotated so that the units of the code are independent given x.

    Given x, the code is distributed as :math:`N(\Sigma W^\top \Psi^{-1} (x - b), \Sigma)` with the diagonal matrix
    :math:`\Sigma = (I + \mathrm{diag}(s))^{-1}`, where :math:`\mathrm{diag}(s) = W^\top \Psi^{-1} W`.

    Attributes
    ----------
    mean : ndarray of shape (D,)
        b.
    loadings : ndarray of shape (D, K)
        W; its columns are sorted by signal-to-noise ratio.
    noise_variance : ndarray of shape (D,)
        psi.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, section 12.2.4; Tipping & Bishop (1999), Probabilistic
    Principal Component Analysis, for equal noise variances.
    """

    mean: np.ndarray
    loadings: np.ndarray
    noise_variance: np.ndarray

    @property
    def signal_to_noise(self) -> np.ndarray:
        """The signal-to-noise ratio s of each factor, (K,)."""
        return (self.loadings**2 / self.noise_variance[:, None]).sum(0)

    @classmethod
    def fit(
        cls,
        mean: np.ndarray,
        covariance: np.ndarray,
        n_factors: int,
        *,
        isotropic: bool = False,
        least_noise: np.ndarray | float = MIN_NOISE,
    ) -> Self:
        """Fit to a mean (D,) and a covariance matrix (D, D).

        Parameters
        ----------
        mean, covariance : ndarray
            Moments of the data.
        n_factors : int
            K, at most D.
        isotropic : bool, default=False
            Whether all features have one noise variance: probabilistic PCA.
        least_noise : float or ndarray of shape (D,)
            Smallest noise variance of a feature, as a fraction of its variance.
        """
        variance = np.diag(covariance)
        floor = least_noise * np.where(variance > 0, variance, 1.0)
        noise = np.full(len(mean), _pca_noise(covariance, n_factors, floor.mean()))
        if isotropic:
            return cls(mean, _loadings(covariance, noise, n_factors)[0], noise)
        noise = np.maximum(noise, floor)
        if len(mean) > _EIGEN_FEATURES:
            noise = _em(covariance, _loadings(covariance, noise, n_factors)[0], noise, floor)
            return cls(mean, _loadings(covariance, noise, n_factors)[0], noise)
        last = -np.inf
        for _ in range(_MAX_ITER):
            loadings, log_likelihood = _loadings(covariance, noise, n_factors)
            noise = np.maximum(variance - (loadings**2).sum(1), floor)
            if log_likelihood - last < _TOLERANCE:
                break
            last = log_likelihood
        if n_factors == len(mean):
            noise = np.maximum(_FULL_RANK_NOISE * noise, floor)
        return cls(mean, _loadings(covariance, noise, n_factors)[0], noise)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Return log p(x) of samples (N, D), (N,)."""
        scaled = (x - self.mean) / np.sqrt(self.noise_variance)
        projected = scaled @ (self.loadings / np.sqrt(self.noise_variance)[:, None])
        ratio = self.signal_to_noise
        distance = (scaled**2).sum(1) - (projected**2 / (1 + ratio)).sum(1)
        log_det = np.log1p(ratio).sum() + np.log(2 * np.pi * self.noise_variance).sum()
        return np.asarray(-0.5 * (distance + log_det))


def moments(x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (D,) and the covariance matrix (D, D) of samples (N, D) with weights (N,)."""
    share = weight / weight.sum()
    mean = share @ x
    centred = (x - mean) * np.sqrt(share)[:, None]
    return mean, centred.T @ centred


def sample_rows(
    x: np.ndarray, weight: np.ndarray, n_rows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `n_rows` samples with their weights, drawn without replacement if there are more."""
    if len(x) <= n_rows:
        return x, weight
    index = rng.choice(len(x), n_rows, replace=False)
    return x[index], weight[index]


def complete(x: np.ndarray, weight: np.ndarray, n_factors: int, rng: np.random.Generator) -> np.ndarray:
    """Return samples (N, D) whose missing cells (NaN) are drawn from a factor analysis of the observed ones.

    The factor analysis is fitted by EM to at most 2,000 of them; codes and missing cells are its latent variables.
    """
    mean, loadings, noise = _of_incomplete(*sample_rows(x, weight, _MISSING_ROWS, rng), n_factors)
    observed = ~np.isnan(x)
    code, covariance = _codes_of_observed(np.where(observed, x - mean, 0.0), observed, loadings, noise)
    factor = np.linalg.cholesky(covariance)
    drawn = code + (factor @ rng.standard_normal(code.shape)[:, :, None])[:, :, 0]
    guess = mean + drawn @ loadings.T + np.sqrt(noise) * rng.standard_normal(x.shape)
    return np.where(observed, x, guess)


def _of_incomplete(x: np.ndarray, weight: np.ndarray, n_factors: int) -> FactorAnalysis:
    """Fit to samples (N, D) with missing cells (NaN)."""
    observed = ~np.isnan(x)
    share = observed * weight[:, None] / np.maximum(weight @ observed, 1e-300)
    mean = (share * np.where(observed, x, 0.0)).sum(0)
    filled = np.where(observed, x - mean, 0.0)
    variance = np.maximum((share * filled**2).sum(0), 1e-12)
    start = FactorAnalysis.fit(mean, moments(filled, weight)[1], n_factors)
    loadings, noise = start.loadings, start.noise_variance
    for _ in range(_EM_ITER):
        code, covariance = _codes_of_observed(filled, observed, loadings, noise)
        second = covariance + code[:, :, None] * code[:, None, :]  # (N, K, K)
        normal = np.einsum("nd,nij->dij", share, second, optimize=True)
        cross = np.einsum("nd,nk->dk", share * filled, code, optimize=True)
        loadings = np.linalg.solve(normal + 1e-9 * np.eye(normal.shape[-1]), cross[:, :, None])[:, :, 0]
        noise = np.maximum(variance - (loadings * cross).sum(1), MIN_NOISE * variance)
    return FactorAnalysis(mean, loadings, noise)


def _codes_of_observed(
    centred: np.ndarray, observed: np.ndarray, loadings: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (N, K) and covariance (N, K, K) of the codes given the observed cells of centred samples (N, D)."""
    products = loadings[:, :, None] * loadings[:, None, :] / noise[:, None, None]  # (D, K, K)
    k = loadings.shape[1]
    precision = np.eye(k) + (observed.astype(float) @ products.reshape(len(products), -1)).reshape(-1, k, k)
    covariance = np.linalg.inv(precision)
    mean = covariance @ ((np.where(observed, centred, 0.0) / noise) @ loadings)[:, :, None]
    return mean[:, :, 0], covariance


def _pca_noise(covariance: np.ndarray, n_factors: int, floor: float) -> float:
    """Return the noise variance of probabilistic PCA; with as many factors as features, half the least eigenvalue."""
    values = np.linalg.eigvalsh(covariance)
    rest = values[: len(values) - n_factors]
    return max(float(rest.mean()) if len(rest) else 0.5 * float(values[0]), floor)


def _loadings(covariance: np.ndarray, noise: np.ndarray, n_factors: int) -> tuple[np.ndarray, float]:
    """Return the most likely loadings (D, K) for noise variances (D,), and the mean log likelihood up to a constant."""
    root = np.sqrt(noise)
    values, vectors = np.linalg.eigh(covariance / root / root[:, None])
    values, vectors = values[::-1], vectors[:, ::-1]
    ratio = np.maximum(values[:n_factors] - 1, 0.0)
    kept, rest = values[:n_factors], values[n_factors:]
    loss = np.log(noise).sum() + np.log(np.maximum(kept, 1)).sum() + np.minimum(kept, 1).sum() + rest.sum()
    return root[:, None] * vectors[:, :n_factors] * np.sqrt(ratio), -0.5 * float(loss)


def _em(covariance: np.ndarray, loadings: np.ndarray, noise: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the noise variances (D,) after some iterations of EM."""
    variance = np.diag(covariance)
    for _ in range(_EM_ITER):
        scaled = loadings / noise[:, None]
        posterior = np.linalg.inv(np.eye(loadings.shape[1]) + loadings.T @ scaled)
        gain = posterior @ scaled.T  # (K, D)
        cross = covariance @ gain.T  # (D, K)
        loadings = np.linalg.solve(posterior + gain @ cross, cross.T).T
        noise = np.maximum(variance - (loadings * cross).sum(1), floor)
    return noise
