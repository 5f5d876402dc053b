"""All metrics of one fitted estimator on held-out samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.assessment import _metrics
from isthmus.assessment._context import Context
from isthmus.assessment._results import Assessment

__all__ = ["Assessment", "assess"]


def assess(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    labels: Any = None,
    n_draws: int = 1000,
    ais: int = 0,
    impute: float = 0.0,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Assessment:
    """Compute all metrics of a fitted estimator on samples that it was not fitted to.

    Draws, codes and imputations are compared in units of the data's standard deviation: one for all columns if
    their ranges are similar, as for pixels, otherwise one per column. Metrics whose cost is quadratic in the number of
    samples use 2000 of them, drawn at random.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of isthmus. Deterministic autoencoders have no density p(x), so that likelihood, latent
        space and samples are None.
    X : array-like of shape (N, D)
        Samples, NaN where a cell is missing.
    y : array-like of shape (N,) or (N, C), optional
        Conditions of a ConditionalVAE; all metrics are then given y. Without them, likelihoods are summed over labels,
        and the latent space is that of the most probable label.
    labels : array-like of shape (N,), optional
        Labels for the accuracy of nearest neighbours.
    n_draws : int, default=1000
        Importance samples per sample, drawn 1.3 times wider than q(z|x).
    ais : int, default=0
        Number of samples for annealed importance sampling, which takes seconds per sample.
    impute : float, default=0.0
        Share of the observed cells to hide and impute.
    seed : int, default=0
        Seed of all random numbers.
    progress : callable, optional
        Called with the name of each metric before it is computed.

    Returns
    -------
    Assessment

    Raises
    ------
    ValueError
        If an argument is out of range, or `ais` is given and q(z|x) is not a single distribution.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> X = load_iris().data
    >>> result = assess(VAE(2, max_epochs=20, random_state=0).fit(X[::2]), X[1::2], n_draws=100)
    >>> result.latent.n_units, result.likelihood.log_px.mean > result.likelihood.elbo.mean
    (2, True)
    """
    if not 0 <= impute < 1:
        raise ValueError(f"impute={impute!r} must be a share of the cells, at least 0 and below 1.")
    ctx = Context.of(estimator, X, y, seed)
    if ais and not ctx.has_single_posterior:
        raise ValueError(
            f"ais={ais!r}: annealing needs a VAE, or a ConditionalVAE with y; {ctx.name} has no density p(x), or a "
            "mixture over labels."
        )
    density = estimator.has_density
    metrics: dict[str, Callable[[], Any]] = {
        "likelihood": lambda: _metrics.likelihood(ctx, n_draws) if density else None,
        "annealing": lambda: _metrics.annealing(ctx, min(ais, len(ctx.X)), n_draws) if ais else None,
        "latent": lambda: _metrics.latent(ctx) if density and len(ctx.X) > 1 else None,
        "reconstruction": lambda: _metrics.reconstruction(ctx),
        "samples": lambda: _metrics.samples(ctx) if density else None,
        "codes": lambda: _metrics.codes(ctx, labels),
        "imputation": lambda: _metrics.imputation(ctx, impute) if impute else None,
    }
    results = {}
    for name, compute in metrics.items():
        if progress is not None:
            progress(name)
        results[name] = compute()
    return Assessment(ctx.name, len(ctx.X), **results)
