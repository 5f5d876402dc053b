"""Imputing tables: iris and wine with half of the cells missing.

Each seed hides half of the cells completely at random. Every method receives the rest, standardised by the means and
the standard deviations of the observed cells, and imputes the hidden ones. The error is the mean squared error over
hidden cells, in units of the variance of each column. Multiple imputations are judged by the coverage of their
central 90 % intervals and by CRPS. EM for a Gaussian with full covariance knows the exact conditional distribution of
its model, so it draws imputations too. Settings were chosen on observed cells that were hidden in addition, never on
the missing ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from _common import Array, Bar, Benchmark, Entry, Found, Options, Run, main, stopwatch
from _settings import FIXED_VAE
from scipy.linalg import cho_factor, cho_solve
from sklearn.datasets import load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next import work
from sklearn.impute import IterativeImputer, KNNImputer

from isthmus import VAE
from isthmus.evaluation import crps, interval_coverage
from isthmus.likelihoods import Gaussian
from isthmus.objectives import ImportanceWeighted
from isthmus.optimizers import Adam

SETS = {"iris": load_iris, "wine": load_wine}
DRAWS = 199

Filled = tuple[Array, Array | None, int]  # the imputed table, draws (n, N, D) or None, the number of parameters
Method = Callable[[Array, int], Filled]


# ---- peers ------------------------------------------------------------------------------------------------------


def gaussian_em(X: Array, n_iter: int = 100, ridge: float = 1e-3) -> tuple[Array, Array]:
    """Return mean (D,) and covariance (D, D) of the maximum likelihood Gaussian for the observed cells."""
    mean, covariance = np.nanmean(X, axis=0), np.diag(np.nanvar(X, axis=0))
    for _ in range(n_iter):
        before = mean, covariance
        filled, spread = np.array(X), np.zeros_like(covariance)
        for i in range(len(X)):
            missing = np.isnan(X[i])
            filled[i], rest = conditional(X[i], mean, covariance)
            spread[np.ix_(missing, missing)] += rest
        mean = filled.mean(0)
        covariance = (filled - mean).T @ (filled - mean) / len(X) + spread / len(X) + ridge * np.eye(len(mean))
        if all(np.allclose(a, b, atol=1e-4) for a, b in zip(before, (mean, covariance), strict=True)):
            break
    return mean, covariance


def conditional(x: Array, mean: Array, covariance: Array) -> tuple[Array, Array]:
    """Return x with its missing cells set to their conditional mean, and the covariance of these cells."""
    m, o = np.isnan(x), ~np.isnan(x)
    if not o.any():
        return mean.copy(), covariance
    filled, across = np.array(x), covariance[np.ix_(m, o)]
    factor = cho_factor(covariance[np.ix_(o, o)])
    filled[m] = mean[m] + across @ cho_solve(factor, x[o] - mean[o])
    return filled, covariance[np.ix_(m, m)] - across @ cho_solve(factor, across.T)


def em_gaussian(X: Array, seed: int, n_iter: int = 100) -> Filled:
    mean, covariance = gaussian_em(X, n_iter)
    rng = np.random.default_rng(seed)
    filled, draws = np.array(X), np.repeat(X[None], DRAWS, axis=0)
    for i in range(len(X)):
        missing = np.isnan(X[i])
        if not missing.any():
            continue
        filled[i], rest = conditional(X[i], mean, covariance)
        draws[:, i, missing] = rng.multivariate_normal(filled[i, missing], rest, DRAWS, method="cholesky")
    return filled, draws, len(mean) * (len(mean) + 3) // 2


def iterative(X: Array, seed: int) -> Filled:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return IterativeImputer(max_iter=30, random_state=seed).fit_transform(X), None, X.shape[1] * (X.shape[1] + 1)


def knn(X: Array, seed: int) -> Filled:  # noqa: ARG001 - nothing is random
    return KNNImputer().fit_transform(X), None, X.size


def column_mean(X: Array, seed: int) -> Filled:  # noqa: ARG001 - nothing is random
    return np.where(np.isnan(X), np.nanmean(X, axis=0), X), None, X.shape[1]


# ---- ours -------------------------------------------------------------------------------------------------------


def ours(**fields: Any) -> Method:
    def method(X: Array, seed: int) -> Filled:
        model = VAE(**{"n_draws": 1000, **fields}, random_state=seed).fit(X)
        draws = model.sample_imputations(X, DRAWS, random_state=seed)
        return model.impute(X), draws, sum(p.numel() for p in model.model_.parameters())

    return method


IWAE = ImportanceWeighted(n_draws=20)
BASE = FIXED_VAE | {"max_epochs": 300, "likelihood": Gaussian(scale="feature", min_scale=0.1)}


def tuned(**fields: Any) -> Method:
    """Return the method with fixed settings and these."""
    return ours(**(BASE | fields))


CANDIDATES: dict[str, Method] = {
    "defaults": ours(),
    "linear, K=2": tuned(n_components=2, hidden_layer_sizes=()),
    **{f"linear, IWAE-20, K={k}": tuned(n_components=k, hidden_layer_sizes=(), objective=IWAE) for k in (1, 2)},
    **{f"hidden 32, K={k}": tuned(n_components=k, hidden_layer_sizes=(32,)) for k in (1, 2)},
    **{f"hidden 32, IWAE-20, K={k}": tuned(n_components=k, hidden_layer_sizes=(32,), objective=IWAE) for k in (1, 2)},
    "hidden 32, IWAE-20, K=2, decay 1": tuned(
        n_components=2, hidden_layer_sizes=(32,), objective=IWAE, optimizer=Adam(weight_decay=1.0)
    ),
    "hidden 32, IWAE-20, K=2, masking .3": tuned(
        n_components=2, hidden_layer_sizes=(32,), objective=IWAE, corruption="masking"
    ),
    "hidden 32, K=2, masking .3": tuned(n_components=2, hidden_layer_sizes=(32,), corruption="masking"),
    "linear, IWAE-20, K=2, sigma at least .5": tuned(
        n_components=2, hidden_layer_sizes=(), objective=IWAE, likelihood=Gaussian(scale="feature", min_scale=0.5)
    ),
}


# ---- measuring --------------------------------------------------------------------------------------------------


def hidden(X: Array, seed: int, share: float = 0.5) -> Array:
    """Return the mask of hidden cells; every column keeps at least one."""
    missing = np.random.default_rng([seed, len(X)]).random(X.shape) < share
    missing[:2] &= ~missing[:2].all(axis=0)
    return missing


def judged(method: Method, X: Array, missing: Array, seed: int, scored: Array | None = None) -> Run:
    """Hide the `missing` cells, impute them, and evaluate the `scored` ones (by default, the same)."""
    scored = missing if scored is None else scored
    seen = np.where(missing, np.nan, X)
    mean, spread, unit = np.nanmean(seen, axis=0), np.nanstd(seen, axis=0), X.std(axis=0)
    with stopwatch() as seconds:
        filled, draws, parameters = method((seen - mean) / spread, seed)
    filled = filled * spread + mean
    values = {"mse": float(np.mean(((filled - X) / unit)[scored] ** 2))}
    if draws is not None:
        draws = (draws * spread + mean) / unit
        values["coverage"] = interval_coverage(draws, X / unit, scored).overall()
        values["crps"] = float(np.nanmean(crps(draws, X / unit, scored)))
    return Run(values, seconds[0], parameters)


EM = "EM, full-covariance Gaussian"
PEERS: dict[str, Method] = {
    EM: em_gaussian,
    "IterativeImputer": iterative,
    "KNNImputer": knn,
    "column mean": column_mean,
}
CHOSEN = "hidden 32, IWAE-20, K=2, masking .3"
OURS: dict[str, Method] = {"VAE": CANDIDATES[CHOSEN], "VAE, defaults": CANDIDATES["defaults"]}


def measure(options: Options) -> Iterator[Entry]:
    for name, load in SETS.items():
        X = load().data[:: options.pick(quick=3, short=1, full=1)]
        masks = [(seed, hidden(X, seed)) for seed in options.seeds]
        peers = PEERS if options.form != "quick" else PEERS | {EM: partial(em_gaussian, n_iter=3)}
        own = OURS if options.form != "quick" else dict.fromkeys(OURS, ours(max_epochs=5))
        for role, methods in (("peer", peers), ("ours", own)):
            for model, method in ((m, methods[m]) for m in methods if options.wants(m)):
                yield Entry.of(name, model, role, [judged(method, X, mask, seed) for seed, mask in masks])


def tune(options: Options) -> Iterator[Entry]:
    for name, load in SETS.items():
        X = load().data[:: options.pick(quick=3, short=1, full=1)]
        for model, method in (PEERS | CANDIDATES).items():
            runs = []
            for seed in options.seeds:
                missing = hidden(X, seed)
                extra = ~missing & (np.random.default_rng([seed, 1]).random(X.shape) < 0.2)
                runs.append(judged(method, X, missing | extra, seed, extra))
            yield Entry.of(f"{name}, validation cells", model, "tried", runs)


def judge(found: Found) -> list[Bar]:
    bars = []
    for name in SETS:
        model, error = "VAE", found.mean(name, "VAE", "mse")
        peer, limit = found.best(name, "mse", role="peer")
        bars.append(Bar(f"{name}: error at most that of the best peer ({peer})", model, error, limit))
        covered = found.mean(name, model, "coverage")
        bars.append(Bar(f"{name}: 90 % intervals cover at least .87", model, covered, 0.87, higher=True))
        bars.append(Bar(f"{name}: 90 % intervals cover at most .93", model, covered, 0.93))
    return bars


BENCHMARK = Benchmark("tables", measure, judge, tune, short_seeds=5)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
