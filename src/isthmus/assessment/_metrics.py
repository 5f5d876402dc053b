"""The metrics of an assessment, one function per part of the result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from isthmus import evaluation
from isthmus._distributions import DiagonalGaussian, FullGaussian
from isthmus.assessment._context import Context, Stream, column_scales, estimate_log_likelihood
from isthmus.assessment._results import (
    AnnealingResult,
    CodeResult,
    ColumnResult,
    ImputationResult,
    LatentResult,
    LikelihoodResult,
    Mean,
    ReconstructionResult,
    SampleResult,
)
from isthmus.estimators._condition import DiscreteCondition, fit_condition
from isthmus.estimators._inference import log_det

__all__ = ["annealing", "codes", "imputation", "latent", "likelihood", "reconstruction", "samples"]

_MAX_SAMPLES = 2000  # for metrics whose cost is quadratic in the number of samples
_MIN_SAMPLES = 12  # for metrics of neighbours
_N_IMPUTATIONS = 49  # enough for the ends of a 90 % interval
_MAX_IMPUTED = 1 << 25  # cells of all imputations together
_N_WORST = 5  # number of columns listed
_PROPOSAL_SCALE = 1.3  # a proposal wider than q(z|x) gives importance weights with lighter tails

Array = np.ndarray


# ---- log p(x) ------------------------------------------------------------------------------------------------


def likelihood(ctx: Context, n_draws: int) -> LikelihoodResult:
    """Return log p(x) by importance sampling, and the ELBO."""
    estimate = estimate_log_likelihood(
        ctx.estimator, ctx.X, **ctx.condition(), n_draws=n_draws, proposal_scale=_PROPOSAL_SCALE
    )
    bound = ctx.call("elbo")
    return LikelihoodResult(
        quantity="log p(x)" if ctx.y is None else "log p(x|y)",
        log_px=Mean.of(estimate.value),
        n_draws=n_draws,
        median_effective_draws=float(np.median(estimate.effective_sample_size)),
        unreliable=estimate.unreliable().tolist(),
        elbo=Mean.of(bound.elbo),
        distortion=Mean.of(bound.reconstruction).mean,
        rate=Mean.of(bound.kl).mean,
    )


def annealing(ctx: Context, n: int, n_draws: int) -> AnnealingResult:
    """Return log p(x) of n random samples by annealed importance sampling, and the gap between its bounds."""
    index = ctx.subset(n)
    model, rows = ctx.tensors(index)
    importance = evaluation.log_marginal_estimate(
        model,
        rows.x,
        rows.c,
        rows.mask,
        n_draws=n_draws,
        proposal_scale=_PROPOSAL_SCALE,
        seed=ctx.derive(Stream.IMPORTANCE),
        key=rows.raw,
    )
    annealed = evaluation.annealed_estimate(model, rows.x, rows.c, rows.mask, seed=ctx.derive(Stream.ANNEALING))
    bounds = evaluation.sandwich(model, len(index), rows.c, seed=ctx.derive(Stream.BOUND_GAP))
    return AnnealingResult(
        indices=index.tolist(),
        log_px=Mean.of((annealed.value + log_det(model, rows)).numpy()),
        difference=Mean.of((annealed.value - importance.value).numpy()),
        bound_gap=Mean.of((bounds.upper.value - bounds.lower.value).numpy()),
    )


# ---- codes ---------------------------------------------------------------------------------------------------


@torch.no_grad()
def latent(ctx: Context) -> LatentResult:
    """Return how the latent units are used."""
    model, rows = ctx.tensors(ctx.subset(_MAX_SAMPLES))
    generator = ctx.generator(Stream.LATENT)
    noise = torch.from_numpy(generator.standard_normal((1, len(rows.x), ctx.estimator.n_components)))
    q, p = model.encode(rows.x, rows.c, rows.mask), model.p_z(rows.c)
    information = evaluation.information(q, p, noise)
    active = evaluation.active_units(q.mean)
    closed_form = all(isinstance(d, (DiagonalGaussian, FullGaussian)) for d in (q, p))
    return LatentResult(
        active_units=int(active.sum()),
        n_units=len(active),
        kl_per_unit=evaluation.kl_per_dimension(q, p).tolist() if closed_form else None,
        mutual_information=information.mutual_information,
        mutual_information_upper=information.upper,
        max_mutual_information=math.log(len(rows.x)),
        # a prior that depends on the condition differs between samples, and has no aggregate
        aggregate_kl=None if p.batch_shape else information.aggregate_kl,
        aggregate_mmd=None if p.batch_shape else evaluation.aggregate_mmd(q, p, noise[0], ctx.derive(Stream.MMD)),
        report=evaluation.collapse_report(q, p),
    )


def codes(ctx: Context, labels: Any) -> CodeResult | None:
    """Return whether neighbours in the data stay neighbours in the codes; None for too few complete samples."""
    index = ctx.subset(_MAX_SAMPLES, complete=True)
    if len(index) < _MIN_SAMPLES:
        return None
    X, Z = ctx.X[index] / column_scales(ctx.X[index]), ctx.call("transform", index)
    accuracies: list[float | None] = [None, None]
    if labels is not None:
        y = np.asarray(labels)
        if isinstance(fit_condition(y, np.ones(len(y))), DiscreteCondition):
            accuracies = [_neighbour_accuracy(points, y[index]) for points in (Z, X)]
    return CodeResult(len(index), evaluation.trustworthiness(X, Z), *accuracies)


def _neighbour_accuracy(points: Array, labels: Array) -> float:
    """Return the two-fold cross-validated accuracy of the five nearest neighbours."""
    even, odd = slice(0, None, 2), slice(1, None, 2)
    n_correct = [
        evaluation.neighbour_accuracy(points[a], labels[a], points[b], labels[b]) * len(labels[b])
        for a, b in ((even, odd), (odd, even))
    ]
    return sum(n_correct) / len(labels)


# ---- reconstructions and samples -----------------------------------------------------------------------------


def reconstruction(ctx: Context) -> ReconstructionResult:
    """Return the errors of reconstructions."""
    nll = ctx.call("feature_errors").astype(np.float64)
    error = np.square(np.asarray(ctx.call("reconstruct"), dtype=np.float64) - ctx.X)
    deviation = np.square(ctx.X - _column_means(ctx.X), dtype=np.float64)
    names = getattr(ctx.estimator, "feature_names_in_", [f"column {d}" for d in range(ctx.X.shape[1])])
    with np.errstate(invalid="ignore"):
        numbers = np.stack([_column_means(nll), _column_means(error) ** 0.5, _column_means(deviation) ** 0.5], axis=1)
    columns = [
        ColumnResult(str(name), *row)
        for name, row in zip(names, numbers.tolist(), strict=True)
        if not math.isnan(row[0])  # a column without any observed cell
    ]
    total = float(np.nansum(deviation))
    return ReconstructionResult(
        score=Mean.of(-np.nansum(nll, axis=1)),
        mse=float(np.nanmean(error)),
        explained_variance=1 - float(np.nansum(error)) / total if total else math.nan,
        worst_columns=sorted(columns, key=lambda column: -column.negative_log_likelihood)[:_N_WORST],
    )


def _column_means(cells: Array) -> Array:
    """Return the mean of the observed cells of each column, (D,): NaN where there are none."""
    n_observed = (~np.isnan(cells)).sum(axis=0)
    total = np.nansum(cells, axis=0, dtype=np.float64)
    return np.divide(total, n_observed, out=np.full(cells.shape[1], np.nan), where=n_observed > 0)


def samples(ctx: Context) -> SampleResult | None:
    """Return a comparison of draws from the model with the data; None for too few complete samples."""
    index = ctx.subset(_MAX_SAMPLES, complete=True)
    if len(index) < _MIN_SAMPLES:
        return None
    scales = column_scales(ctx.X[index])
    real = ctx.X[index] / scales
    drawn = ctx.estimator.sample(len(index), random_state=ctx.seed, **ctx.condition(index))
    drawn = np.asarray(drawn, dtype=np.float64) / scales
    noise = ctx.generator(Stream.FRECHET_REFERENCE).standard_normal((2, len(real), len(real)))
    reference = noise @ (real - real.mean(axis=0)) / math.sqrt(len(real) - 1)  # normal, with the data's covariance
    precision, recall = evaluation.precision_recall(real, drawn)
    distances = torch.nn.functional.pdist(torch.from_numpy(np.concatenate([real[:500], drawn[:500]])))
    bandwidth = float(distances.median())
    return SampleResult(
        n_samples=len(index),
        frechet_distance=evaluation.frechet_distance(real, drawn),
        frechet_reference=evaluation.frechet_distance(*reference),
        precision=precision,
        recall=recall,
        mmd=evaluation.mmd(real, drawn, bandwidth) if bandwidth > 0 else None,
        two_sample_accuracy=evaluation.nearest_neighbour_test(real, drawn).accuracy,
    )


# ---- missing cells -------------------------------------------------------------------------------------------


def imputation(ctx: Context, share: float) -> ImputationResult:
    """Return the errors of imputing a random share of the observed cells."""
    index = ctx.subset(max(1, min(_MAX_SAMPLES, _MAX_IMPUTED // (_N_IMPUTATIONS * ctx.X.shape[1]))))
    hidden = _hide_cells(ctx, ctx.X[index], share)
    incomplete = np.where(hidden, np.nan, ctx.X[index]).astype(ctx.X.dtype)
    scales = column_scales(ctx.X)
    truth = ctx.X[index].astype(np.float64) / scales
    means = _column_means(incomplete)
    rmse, rmse_of_means = (
        float(np.sqrt(np.mean(np.square((filled / scales - truth)[hidden]))))
        for filled in (ctx.call("impute", index, incomplete), np.broadcast_to(means, truth.shape))
    )
    errors = (int(hidden.sum()), rmse, rmse_of_means)
    if not ctx.estimator.has_density:
        return ImputationResult(*errors, None, None, None)
    seed = ctx.derive(Stream.IMPUTATIONS) % 2**31
    draws = ctx.call("sample_imputations", index, incomplete, n_samples=_N_IMPUTATIONS, random_state=seed)
    draws = np.asarray(draws, dtype=np.float64) / scales
    crps = float(np.nanmean(evaluation.crps(draws, truth, hidden)))
    coverages = [evaluation.interval_coverage(draws, truth, hidden, level).overall() for level in (0.5, 0.9)]
    return ImputationResult(*errors, crps, *coverages)


def _hide_cells(ctx: Context, X: Array, share: float) -> Array:
    """Return which observed cells to hide, bool (N, D); every column keeps an observed cell."""
    hidden = ~np.isnan(X) & (ctx.generator(Stream.HIDDEN_CELLS).random(X.shape) < share)
    hidden &= ~np.isnan(np.where(hidden, np.nan, X)).all(axis=0)
    if not hidden.any():
        raise ValueError(f"impute={share!r} hides none of the {X.size} cells; increase it, or pass more samples.")
    return hidden
