"""How good one fitted estimator is on rows it has not seen: all of :mod:`isthmus.evaluation` that it admits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.assessment import _metrics
from isthmus.assessment._context import context_of
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
    """Measure a fitted estimator on rows that it was not fitted to.

    Samples, codes and imputations are compared in units of the rows' standard deviation: one for all columns where
    these are alike in range, as pixels are, else each its own. What takes the square of the number of rows is measured
    on 2000 of them, drawn at random.

    Parameters
    ----------
    estimator : estimator
        Any of the six, fitted. The deterministic ones have no p(x), hence no likelihood, latent space or samples here.
    X : array-like of shape (N, D)
        Rows, NaN where a cell is missing.
    y : array-like of shape (N,) or (N, C), optional
        Conditions of a ConditionalVAE: what follows is then given y. Without them likelihoods are summed over labels,
        and the latent space is looked at given the most probable one.
    labels : array-like of shape (N,), optional
        Labels for the neighbours of codes.
    n_draws : int, default=1000
        Draws for log p(x), 1.3 times wider than q(z|x).
    ais : int, default=0
        Rows for annealed importance sampling, which takes seconds a row.
    impute : float, default=0.0
        Share of the observed cells that is hidden and imputed.
    seed : int, default=0
        Of everything random here.
    progress : callable, optional
        Called with the name of what is measured next.

    Returns
    -------
    Assessment

    Raises
    ------
    ValueError
        If a share or a number is out of its range, or annealing is asked for and there is no single q(z|x).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from isthmus import VAE
    >>> X = load_iris().data
    >>> found = assess(VAE(2, max_epochs=20, random_state=0).fit(X[::2]), X[1::2], n_draws=100)
    >>> found.latent.n_units, found.likelihood.log_px.mean > found.likelihood.elbo.mean
    (2, True)
    """
    if not 0 <= impute < 1:
        raise ValueError(f"impute={impute!r} must be a share of the cells, at least 0 and below 1.")
    ctx = context_of(estimator, X, y, seed)
    if ais and not ctx.latent_given:
        raise ValueError(
            f"ais={ais!r}: {ctx.name} without y is a mixture over labels, or has no p(x); annealing needs a VAE, or y."
        )
    say = progress or (lambda _: None)
    steps: dict[str, Callable[[], Any]] = {
        "likelihood": lambda: _metrics.likelihood(ctx, n_draws) if ctx.variational else None,
        "annealed": lambda: _metrics.annealed(ctx, min(ais, len(ctx.X)), n_draws) if ais else None,
        "latent": lambda: _metrics.latent(ctx) if ctx.variational and len(ctx.X) > 1 else None,
        "restored": lambda: _metrics.restored(ctx),
        "samples": lambda: _metrics.samples(ctx) if ctx.variational else None,
        "codes": lambda: _metrics.codes(ctx, labels),
        "imputation": lambda: _metrics.imputation(ctx, impute) if impute else None,
    }
    found = {}
    for name, step in steps.items():
        say(name)
        found[name] = step()
    return Assessment(ctx.name, len(ctx.X), **found)
