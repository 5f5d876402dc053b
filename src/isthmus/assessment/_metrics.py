"""The measures of an assessment, one function each."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch

from isthmus import evaluation
from isthmus._distributions import DiagonalGaussian, FullGaussian
from isthmus._random import derive
from isthmus.assessment._context import Context, log_det, scaled_by
from isthmus.assessment._results import Annealed, Codes, Column, Imputation, Latent, Likelihood, Mean, Restored, Samples
from isthmus.estimators._condition import Labels, condition_of

__all__ = ["annealed", "codes", "imputation", "latent", "likelihood", "restored", "samples"]

_ROWS = 2000  # at most, for what takes the square of their number
_CELLS = 1 << 25  # at most, of all imputations together
_COPIES = 49  # imputations of a row: enough for the ends of a 90 % interval
_FEWEST = 12  # rows that neighbours and samples are compared in
_WORST = 5  # columns that are named
_PROPOSAL_SCALE = 1.3  # how much wider than q(z|x) the draws are

Array = np.ndarray


# ---- log p(x) ------------------------------------------------------------------------------------------------


def likelihood(ctx: Context, n_draws: int) -> Likelihood:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"log p\(x\) is unreliable")  # the rows are in the result
        estimate = ctx.call("score_samples_estimate", n_draws=n_draws, proposal_scale=_PROPOSAL_SCALE)
    bound = ctx.call("elbo")
    return Likelihood(
        "log p(x)" if ctx.y is None else "log p(x|y)",
        Mean.of(estimate.value),
        n_draws,
        float(np.median(estimate.effective_sample_size)),
        estimate.unreliable().tolist(),
        Mean.of(bound.elbo),
        Mean.of(bound.reconstruction).mean,
        Mean.of(bound.kl).mean,
    )


def annealed(ctx: Context, n: int, n_draws: int) -> Annealed:
    index = ctx.some(n)
    model, rows = ctx.tensors(index)
    in_units = log_det(model, rows)
    plain = evaluation.log_marginal_estimate(
        model,
        rows.x,
        rows.c,
        rows.mask,
        n_draws=n_draws,
        proposal_scale=_PROPOSAL_SCALE,
        seed=derive(ctx.seed, 1),
        key=rows.raw,
    )
    annealed = evaluation.annealed_estimate(model, rows.x, rows.c, rows.mask, seed=derive(ctx.seed, 2))
    both = evaluation.sandwich(model, len(index), rows.c, seed=derive(ctx.seed, 3))
    return Annealed(
        index.tolist(),
        Mean.of((annealed.value + in_units).numpy()),
        Mean.of((annealed.value - plain.value).numpy()),
        Mean.of((both.upper.value - both.lower.value).numpy()),
    )


# ---- the code ------------------------------------------------------------------------------------------------


def latent(ctx: Context) -> Latent:
    model, rows = ctx.tensors(ctx.some(_ROWS))
    noise = torch.from_numpy(ctx.generator(4).standard_normal((1, len(rows.x), ctx.estimator.n_components)))
    with torch.no_grad():
        q, p = model.q(rows.x, rows.c, rows.mask), model.p_z(rows.c)
        known = evaluation.information(q, p, noise)
        active = evaluation.active_units(q.mean)
        normal = all(isinstance(d, (DiagonalGaussian, FullGaussian)) for d in (q, p))
        return Latent(
            int(active.sum()),
            len(active),
            evaluation.kl_per_dimension(q, p).tolist() if normal else None,
            known.mutual_information,
            known.upper,
            math.log(len(rows.x)),
            known.aggregate_kl,
            # a prior that sees the condition is another one for each row
            None if p.batch_shape else evaluation.aggregate_mmd(q, p, noise[0], derive(ctx.seed, 5)),
            evaluation.collapse_report(q, p),
        )


def codes(ctx: Context, labels: Any) -> Codes | None:
    index = ctx.some(_ROWS, complete=True)
    if len(index) < _FEWEST:
        return None
    X, Z = ctx.X[index] / scaled_by(ctx.X[index]), ctx.call("transform", index)
    y = None if labels is None else np.asarray(labels)
    known = y is not None and isinstance(condition_of(y, np.ones(len(y))), Labels)
    accuracies = [_accuracy(rows, y[index]) for rows in (Z, X)] if y is not None and known else [None, None]
    return Codes(len(index), evaluation.trustworthiness(X, Z), *accuracies)


def _accuracy(rows: Array, labels: Array) -> float:
    """Return how often five neighbours name the label: each half of the rows by the other, every second one."""
    halves = [slice(0, None, 2), slice(1, None, 2)]
    right = [
        evaluation.neighbour_accuracy(rows[a], labels[a], rows[b], labels[b]) * len(labels[b])
        for a, b in (halves, halves[::-1])
    ]
    return sum(right) / len(labels)


# ---- rows out ------------------------------------------------------------------------------------------------


def restored(ctx: Context) -> Restored:
    nats = ctx.call("feature_errors").astype(np.float64)
    square = np.square(np.asarray(ctx.call("reconstruct"), dtype=np.float64) - ctx.X)
    spread = np.square(ctx.X - np.nanmean(ctx.X, axis=0), dtype=np.float64)
    names = getattr(ctx.estimator, "feature_names_in_", [f"column {d}" for d in range(ctx.X.shape[1])])
    with np.errstate(invalid="ignore"):
        columns = zip(
            names, np.nanmean(nats, 0), np.nanmean(square, 0) ** 0.5, np.nanmean(spread, 0) ** 0.5, strict=True
        )
    table = [Column(str(name), *(float(v) for v in numbers)) for name, *numbers in columns]
    worst = sorted(table, key=lambda column: -column.nats)[:_WORST]
    total, left = float(np.nansum(spread)), float(np.nansum(square))
    kept = 1 - left / total if total else math.nan
    return Restored(Mean.of(-np.nansum(nats, axis=1)), float(np.nanmean(square)), kept, worst)


def samples(ctx: Context) -> Samples | None:
    index = ctx.some(_ROWS, complete=True)
    if len(index) < _FEWEST:
        return None
    scale = scaled_by(ctx.X[index])
    real = ctx.X[index] / scale
    given = {} if ctx.y is None else {"y": ctx.y[index]}
    drawn = np.asarray(ctx.estimator.sample(len(index), random_state=ctx.seed, **given), dtype=np.float64) / scale
    # two sets of one law, the normal with the rows' own mean and covariance: what is left is chance
    noise = ctx.generator(6).standard_normal((2, len(real), len(real)))
    alike = noise @ (real - real.mean(axis=0)) / math.sqrt(len(real) - 1)
    fidelity = evaluation.precision_recall(real, drawn)
    return Samples(
        len(index),
        evaluation.frechet_distance(real, drawn),
        evaluation.frechet_distance(*alike),
        *fidelity,
        _mmd(real, drawn),
        evaluation.nearest_neighbour_test(real, drawn).accuracy,
    )


def _mmd(real: Array, drawn: Array) -> float | None:
    """Return the squared MMD; None where most rows are equal, and no distance is typical."""
    distances = torch.nn.functional.pdist(torch.from_numpy(np.concatenate([real[:500], drawn[:500]])))
    return evaluation.mmd(real, drawn, float(distances.median())) if distances.median() > 0 else None


# ---- missing cells -------------------------------------------------------------------------------------------


def imputation(ctx: Context, share: float) -> Imputation:
    index = ctx.some(max(1, min(_ROWS, _CELLS // (_COPIES * ctx.X.shape[1]))))
    truth, scale = ctx.X[index].astype(np.float64), scaled_by(ctx.X)
    hidden = ~np.isnan(truth) & (ctx.generator(7).random(truth.shape) < share)
    hidden &= ~np.isnan(np.where(hidden, np.nan, truth)).all(axis=0)  # a column's mean needs an observed cell
    if not hidden.any():
        raise ValueError(f"impute={share!r} hides none of the {truth.size} cells; raise it, or take more rows.")
    holes = np.where(hidden, np.nan, ctx.X[index]).astype(ctx.X.dtype)
    means = np.nanmean(holes, axis=0, dtype=np.float64)
    filled = ctx.call("impute", index, holes)
    rmse, of_means = (_rmse((guess - truth) / scale, hidden) for guess in (filled, means))
    n = int(hidden.sum())
    if not ctx.variational:
        return Imputation(n, rmse, of_means, None, None, None)
    draws = ctx.call("sample_imputations", index, holes, n_samples=_COPIES, random_state=derive(ctx.seed, 8) % 2**31)
    draws, truth = np.asarray(draws, dtype=np.float64) / scale, truth / scale
    crps = float(np.nanmean(evaluation.crps(draws, truth, hidden)))
    half, most = (evaluation.interval_coverage(draws, truth, hidden, level).overall() for level in (0.5, 0.9))
    return Imputation(n, rmse, of_means, crps, half, most)


def _rmse(error: Array, cells: Array) -> float:
    return float(np.sqrt(np.mean(np.square(error[cells]))))
