"""The mixture of normal distributions that held-out codes choose."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from isthmus.initialization.mixture import NormalMixture

__all__ = ["CodeMixture", "choose_code_mixture", "fit_code_mixture"]

_MIXTURES = (1, 2, 4, 8, 16, 32, 64, 128)
_MIN_PER_COMPONENT = 5  # codes
_MAX_ITER = 40  # of EM; more of them change the density by thousandths of a nat
_AS_LIKELY = 0.05  # nats: the fit to all samples needs less shrinkage than the one to a part of them
_FITS = 3  # whose mean is the mixture: it has a higher held-out likelihood than the best of them


class CodeMixture(NamedTuple):
    """How a mixture is fitted to codes.

    Attributes
    ----------
    n_mixture : int
        Number of components of each fit.
    shrinkage : float
        Shrinkage of their covariances, as of :meth:`NormalMixture.fit`, in samples.
    """

    n_mixture: int
    shrinkage: float


def choose_code_mixture(
    codes: np.ndarray, weight: np.ndarray, held: np.ndarray, held_weight: np.ndarray, current: float, seed: int
) -> tuple[CodeMixture, NormalMixture] | None:
    """Return the mixture with the highest held-out log density of codes, or None if that is not above the current one.

    Parameters
    ----------
    codes, held : ndarray of shape (S, N, K)
        S draws of the code of each of N samples, to fit to and to score.
    weight, held_weight : ndarray of shape (N,)
        Weights of the samples.
    current : float
        Held-out log density of the prior that the model has.
    seed : int
        Seed of k-means.

    Returns
    -------
    tuple of CodeMixture and NormalMixture, or None
        What was chosen, and the mean of its fits to `codes`.
    """
    k = codes.shape[-1]

    def score(mixture: NormalMixture) -> float:
        return float(np.average(mixture.log_prob(held.reshape(-1, k)), weights=np.tile(held_weight, len(held))))

    n_mixture = _choose_single(codes, weight, score, seed)
    found: dict[CodeMixture, tuple[float, NormalMixture]] = {}

    def of_mean(choice: CodeMixture) -> float:
        if choice not in found:
            mixture = fit_code_mixture(codes, weight, choice, seed)
            found[choice] = score(mixture), mixture
        return found[choice][0]

    # The mean of several fits varies less with the sample: it may have more components, which are shrunk less.
    doubled = min(2 * n_mixture, _MIXTURES[-1])
    best = max((CodeMixture(m, float(k)) for m in (n_mixture, doubled)), key=of_mean)
    for shrinkage in (k / 4, k / 16):  # samples are closer to the data with less of it
        other = best._replace(shrinkage=shrinkage)
        if of_mean(other) < of_mean(best) - _AS_LIKELY:
            break
        best = other
    return (best, found[best][1]) if of_mean(best) > current else None


def fit_code_mixture(codes: np.ndarray, weight: np.ndarray, choice: CodeMixture, seed: int) -> NormalMixture:
    """Return the mean of the densities of several fits to codes (S, N, K), from different starts.

    References
    ----------
    Ormoneit & Tresp (1998), Averaging, Maximum Penalized Likelihood and Bayesian Estimation for Improving Gaussian
    Mixture Probability Density Estimates.
    """
    fits = [_fit(codes, weight, choice, seed + i) for i in range(_FITS if choice.n_mixture > 1 else 1)]
    weights, means, covariances = map(np.concatenate, zip(*fits, strict=True))
    return NormalMixture(weights / len(fits), means, covariances)


def _choose_single(codes: np.ndarray, weight: np.ndarray, score: Callable[[NormalMixture], float], seed: int) -> int:
    """Return the number of components of the single fit with the highest score; with ever more, it falls."""
    _, n_rows, k = codes.shape
    best, highest = 1, -np.inf
    for m in _MIXTURES:
        if m > 1 and m * _MIN_PER_COMPONENT > n_rows:
            break
        found = score(_fit(codes, weight, CodeMixture(m, float(k)), seed))
        if found < highest:
            break
        best, highest = m, found
    return best


def _fit(codes: np.ndarray, weight: np.ndarray, choice: CodeMixture, seed: int) -> NormalMixture:
    n_draws, _, k = codes.shape
    shrinkage = n_draws * choice.shrinkage
    weights = np.tile(weight, n_draws)
    return NormalMixture.fit(codes.reshape(-1, k), weights, choice.n_mixture, shrinkage, seed, _MAX_ITER)
