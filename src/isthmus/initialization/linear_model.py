"""The linear model that held-out samples choose: factor analysis, with a mixture of normal distributions of codes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from isthmus.initialization.factor_analysis import MIN_NOISE, FactorAnalysis, complete, moments, sample_rows
from isthmus.initialization.mixture import NormalMixture

__all__ = ["MAX_FACTORS", "LinearModel", "fit_linear_model"]

_FACTORS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
MAX_FACTORS = 32
_MAX_SHARE = 0.6  # factors per feature: with more of them the noise is so small that training cannot improve on it
_MIXTURES = (2, 4, 8, 16, 32, 64, 128)
_MIN_PER_COMPONENT = 5  # samples
_SELECTION_ROWS, _FIT_ROWS = 4000, 16_000
_FULL_SELECTION_ROWS = 10_000  # of models with as many factors as features, whose mixtures are larger
_DRAWS = 4  # of the code of each sample; with as many factors as features and many samples, one says as much
_FOLDS, _FEW = 5, 1000  # with more samples than that, a single split decides
_MISSING_FACTORS = 16
_BINARY_NOISE = 0.05  # variance of a binary feature's noise, as a fraction of its variance


@dataclass(frozen=True)
class LinearModel:
    r"""x = b + W z + epsilon, where z is standard normal, or a mixture of normal distributions.

    Parameters
    ----------
    factors : FactorAnalysis
        b, W and the noise.
    mixture : NormalMixture or None
        The distribution of z; None is N(0, I).
    """

    factors: FactorAnalysis
    mixture: NormalMixture | None = None

    @property
    def n_components(self) -> int:
        """K."""
        return self.factors.loadings.shape[1]

    def encoder(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return weight (K, D), bias (K,) and log standard deviation (K,) of q(z|x), the posterior for N(0, I)."""
        fa = self.factors
        weight = (fa.loadings / fa.noise_variance[:, None]).T / (1 + fa.signal_to_noise)[:, None]
        return weight, -weight @ fa.mean, -0.5 * np.log1p(fa.signal_to_noise)

    def draw_codes(self, x: np.ndarray, n_draws: int, rng: np.random.Generator) -> np.ndarray:
        """Draw codes (n_draws N, K) from q(z|x) for samples (N, D)."""
        weight, bias, log_scale = self.encoder()
        mean = np.tile(x @ weight.T + bias, (n_draws, 1))
        return np.asarray(mean + np.exp(log_scale) * rng.standard_normal(mean.shape))

    def elbo(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the ELBO of samples (N, D), (N,): with N(0, I), it is log p(x)."""
        log_px = self.factors.log_prob(x)
        if self.mixture is None:
            return log_px
        codes = self.draw_codes(x, _DRAWS, rng)
        log_ratio = self.mixture.log_prob(codes) + 0.5 * (codes**2 + np.log(2 * np.pi)).sum(1)
        return np.asarray(log_px + log_ratio.reshape(_DRAWS, -1).mean(0))


class _Choice(NamedTuple):
    n_factors: int
    n_mixture: int = 1
    shrinkage: float = 0.0


class _Split(NamedTuple):
    """Samples to fit to, samples to score, and the factor analyses fitted so far, by their number of factors."""

    x: np.ndarray
    weight: np.ndarray
    held: np.ndarray
    held_weight: np.ndarray
    factors: dict[int, FactorAnalysis]


def fit_linear_model(
    x: np.ndarray,
    weight: np.ndarray,
    *,
    n_components: int | None,
    mixture: bool,
    isotropic: bool,
    seed: int,
    full_rank: bool = False,
    binary: np.ndarray | None = None,
) -> LinearModel:
    """Fit factor analysis and a mixture of its codes, whose sizes held-out samples choose.

    Parameters
    ----------
    x : ndarray of shape (N, D)
        Samples, NaN where a cell is missing. A random part of them is used if there are many.
    weight : ndarray of shape (N,)
        Sample weights.
    n_components : int or None
        K; None chooses it, at most 32.
    mixture : bool
        Whether the codes may have a mixture of normal distributions.
    isotropic : bool
        Whether all features have one noise variance. If not, or if K is chosen, there are at most 0.6 D factors.
    seed : int
        Seed of the choice of samples and of k-means.
    full_rank : bool, default=False
        Whether to fit as many factors as there are features: with a mixture, nearly one of the features themselves.
    binary : ndarray of bool of shape (D,), optional
        Which features are 0 or 1: their noise is so large that logits stay moderate.
    """
    rng = np.random.default_rng(seed)
    x, weight = sample_rows(x[weight > 0], weight[weight > 0], _FIT_ROWS, rng)
    n_features = x.shape[1]
    least = MIN_NOISE if binary is None else np.where(binary, _BINARY_NOISE, MIN_NOISE)
    whole = full_rank or (isotropic and n_components is not None)
    most = n_features if whole else math.ceil(_MAX_SHARE * n_features)
    largest = max(1, min(most, len(x) - 1, MAX_FACTORS if n_components is None else n_components))
    if np.isnan(x).any():
        x = complete(x, weight, min(largest, _MISSING_FACTORS), rng)

    def fit(choice: _Choice, split: _Split) -> LinearModel:
        if choice.n_factors not in split.factors:
            of_split = moments(split.x, split.weight)
            found = FactorAnalysis.fit(*of_split, choice.n_factors, isotropic=isotropic, least_noise=least)
            split.factors[choice.n_factors] = found
        model = LinearModel(split.factors[choice.n_factors])
        if choice.n_mixture == 1:
            return model
        n_draws = 1 if full_rank and len(split.x) > _SELECTION_ROWS else _DRAWS
        codes = model.draw_codes(split.x, n_draws, np.random.default_rng(seed))
        repeated, shrinkage = np.tile(split.weight, n_draws), n_draws * choice.shrinkage
        return LinearModel(model.factors, NormalMixture.fit(codes, repeated, choice.n_mixture, shrinkage, seed))

    choice = _Choice(largest)
    if n_components is None or mixture:
        splits = _splits(*sample_rows(x, weight, _FULL_SELECTION_ROWS if full_rank else _SELECTION_ROWS, rng), rng)

        def score(choice: _Choice) -> float:
            if choice.n_factors >= min(len(split.x) for split in splits):
                return -np.inf
            total = sum(
                split.held_weight @ fit(choice, split).elbo(split.held, np.random.default_rng(seed)) for split in splits
            )
            return float(total / sum(split.held_weight.sum() for split in splits))

        fixed = full_rank or n_components is not None
        counts = [largest] if fixed else [*(k for k in _FACTORS if k < largest), largest]
        choice = _choose(score, counts, mixture=mixture, n_rows=min(len(split.x) for split in splits))
    return fit(choice, _Split(x, weight, x[:0], weight[:0], {}))


def _choose(score: Callable[[_Choice], float], counts: Sequence[int], *, mixture: bool, n_rows: int) -> _Choice:
    """Return the choice with the highest held-out score: first the factors, then the mixture, then its shrinkage."""
    scores = {choice: score(choice) for choice in map(_Choice, counts)}
    if mixture:
        best = max(scores, key=scores.__getitem__).n_factors
        for k in dict.fromkeys((best, counts[-1])):
            previous, worse = scores[_Choice(k)], 0
            for m in _MIXTURES:
                if m * _MIN_PER_COMPONENT > n_rows or worse == 2:
                    break
                choice = _Choice(k, m, 2.0 * k)
                scores[choice] = score(choice)
                worse = 0 if scores[choice] > previous else worse + 1
                previous = max(previous, scores[choice])
        k, m, _ = max(scores, key=scores.__getitem__)
        if m > 1:
            scores |= {choice: score(choice) for choice in (_Choice(k, m, 3.0), _Choice(k, m, 10.0 * k))}
    return max(scores, key=scores.__getitem__)


def _splits(x: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> list[_Split]:
    """Return the folds of cross-validation, or one split if there are many samples."""
    order = rng.permutation(len(x))
    splits = []
    for i in range(_FOLDS if len(x) < _FEW else 1):
        held = order[i::_FOLDS]
        rest = np.setdiff1d(order, held)
        splits.append(_Split(x[rest], weight[rest], x[held], weight[held], {}))
    return splits
