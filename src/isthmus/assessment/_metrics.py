"""The metrics of an assessment, one function per part of the result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from isthmus import evaluation
from isthmus.assessment._cells import Cells, as_pandas, column_means
from isthmus.assessment._context import Context, Stream, column_scales, estimate_log_likelihood
from isthmus.assessment._results import (
    LEVELS,
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
from isthmus.estimators._variational import LogLikelihoodEstimate

__all__ = [
    "annealing",
    "codes",
    "estimate",
    "explained_share",
    "imputation",
    "latent",
    "likelihood",
    "reconstruction",
    "samples",
    "standard_deviations",
]

_MAX_SAMPLES = 2000  # for metrics whose cost is quadratic in the number of samples
_MIN_SAMPLES = 12  # for metrics of neighbours
_N_IMPUTATIONS = 49  # enough for the ends of a 90 % interval
_MAX_IMPUTED = 1 << 25  # cells of all imputations together
_PROPOSAL_SCALE = 1.3  # a proposal wider than q(z|x) gives importance weights with lighter tails

Array = np.ndarray


# ---- log p(x) ------------------------------------------------------------------------------------------------


def estimate(ctx: Context, n_draws: int, proposal_scale: float = 1.0) -> LogLikelihoodEstimate:
    """Return log p(x) of each sample by importance sampling: by default as ``score_samples`` does."""
    return estimate_log_likelihood(
        ctx.estimator, ctx.rows(), **ctx.condition(), n_draws=n_draws, proposal_scale=proposal_scale
    )


def likelihood(ctx: Context, n_draws: int, estimated: LogLikelihoodEstimate | None = None) -> LikelihoodResult:
    """Return log p(x) by importance sampling, unless it was `estimated` already, and the ELBO."""
    found = estimated or estimate(ctx, n_draws, _PROPOSAL_SCALE)
    bound = ctx.call("elbo")
    return LikelihoodResult(
        quantity="log p(x)" if ctx.y is None else "log p(x|y)",
        log_px=Mean.of(found.value),
        n_draws=n_draws,
        median_effective_draws=float(np.median(found.effective_sample_size)),
        unreliable=found.unreliable().tolist(),
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
    noise = torch.from_numpy(generator.standard_normal((1, len(rows.x), ctx.estimator.n_components_)))
    q, p = model.encode(rows.x, rows.c, rows.mask), model.p_z(rows.c)
    information = evaluation.information(q, p, noise)
    active = evaluation.active_units(q.mean)
    known = evaluation.has_marginals(q, p)
    return LatentResult(
        active_units=int(active.sum()),
        n_units=len(active),
        activity=evaluation.activity(q.mean).tolist(),
        kl_per_unit=evaluation.kl_per_dimension(q, p).tolist() if known else None,
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
    index = ctx.subset(_MAX_SAMPLES, complete=ctx.table is None)
    if len(index) < _MIN_SAMPLES:
        return None
    X, Z = _points(ctx, index)[0], ctx.call("transform", index)
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
    cells = ctx.cells(ctx.rows())
    nll = np.asarray(ctx.call("feature_errors"), dtype=np.float64)
    score = Mean.of(-np.nansum(nll, axis=1))
    if ctx.table is not None:
        names = list(map(str, ctx.estimator._codec.names))
        nll = nll[:, [names.index(name) for name in cells.names]]
    error = cells.errors(ctx.cells(ctx.call("reconstruct")).values)
    baseline = cells.errors(np.broadcast_to(cells.guess(), error.shape))
    numbers = np.stack([column_means(part) for part in (nll, error, baseline)], axis=1)
    numbers[~cells.is_category, 1:] **= 0.5
    columns = [
        ColumnResult(name, nll_d, error_d, baseline_d, "category" if category else "number")
        for name, (nll_d, error_d, baseline_d), category in zip(
            cells.names, numbers.tolist(), cells.is_category, strict=True
        )
        if not math.isnan(nll_d)  # a column without any observed cell
    ]
    return ReconstructionResult(
        score=score,
        mse=float(np.nanmean(error)) if ctx.table is None else None,
        explained_variance=explained_share(error, baseline, pooled=ctx.table is None),
        columns=sorted(columns, key=lambda column: -column.negative_log_likelihood),
    )


def explained_share(error: Array, baseline: Array, scales: Array | float = 1.0, *, pooled: bool) -> float:
    """Return the explained share of the baseline's error: over all cells, or the mean of those of the columns."""
    if pooled:
        error, baseline = error / np.square(scales), baseline / np.square(scales)
        total = float(np.nansum(baseline))
        return 1 - float(np.nansum(error)) / total if total else math.nan
    own, total_by_column = np.nansum(error, axis=0), np.nansum(baseline, axis=0)
    varies = total_by_column > 0
    return float(np.mean(1 - own[varies] / total_by_column[varies])) if varies.any() else math.nan


def _points(ctx: Context, index: Array, drawn: Any = None) -> tuple[Array, Array | None]:
    """Return samples, and draws from the model, as points whose distances compare columns of any kind.

    Rows of a table may have missing cells: those cells are then missing in the draw of the same index as well.
    """
    cells = ctx.cells(ctx.rows(index))
    values = None if drawn is None else np.asarray(ctx.cells(drawn).values, dtype=np.float64)
    if ctx.table is None:
        scales = column_scales(cells.values)
        return cells.values / scales, None if values is None else values / scales
    scales = standard_deviations(cells.values)
    if values is None:
        return cells.points(cells.values, scales), None
    gone = np.isnan(cells.values) | np.isnan(values)
    real, fake = (np.where(gone, np.nan, part) for part in (cells.values, values))
    return cells.points(real, scales), cells.points(fake, scales)


def standard_deviations(values: Array) -> Array:
    """Return the standard deviation of each column, (C,), or 1 where it is 0 or unknown."""
    deviation = np.sqrt(column_means(np.square(values - column_means(values))))
    return np.where(deviation > 0, deviation, 1.0)


def samples(ctx: Context) -> SampleResult | None:
    """Return a comparison of draws from the model with the data; None for too few complete samples."""
    index = ctx.subset(_MAX_SAMPLES, complete=ctx.table is None)
    if len(index) < _MIN_SAMPLES:
        return None
    rows = ctx.estimator.sample(len(index), random_state=ctx.seed, **ctx.condition(index))
    real, drawn = _points(ctx, index, rows if ctx.table is None else as_pandas(rows, ctx.estimator._codec))
    assert drawn is not None
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


def imputation(ctx: Context, share: float, max_rows: int = _MAX_SAMPLES) -> ImputationResult:
    """Return the errors of imputing a random share of the observed cells of at most `max_rows` samples."""
    n_columns = ctx.X.shape[1]
    index = ctx.subset(max(1, min(max_rows, _MAX_IMPUTED // (_N_IMPUTATIONS * n_columns))))
    cells = ctx.cells(ctx.rows(index))
    hidden = _hide_cells(ctx, cells.values, share)
    incomplete = _without(ctx, index, hidden)
    scales = column_scales(ctx.X) if ctx.table is None else standard_deviations(cells.values)
    means = ctx.cells(incomplete)._replace(levels=cells.levels).guess()
    filled = ctx.cells(ctx.call("impute", index, incomplete)).values
    numbers, levels = hidden & ~cells.is_category, hidden & cells.is_category
    wrong, wrong_of_guess = cells.errors(filled), cells.errors(np.broadcast_to(means, cells.values.shape))
    rmse, rmse_of_means = (
        float(np.sqrt(np.mean((error / scales**2)[numbers]))) if numbers.any() else None
        for error in (wrong, wrong_of_guess)
    )
    accuracy, accuracy_of_mode = (
        1 - float(np.mean(error[levels])) if levels.any() else None for error in (wrong, wrong_of_guess)
    )
    result = ImputationResult(
        int(hidden.sum()), rmse, rmse_of_means, None, None, None, accuracy, accuracy_of_mode, n_levels=int(levels.sum())
    )
    if not ctx.estimator.has_density or not numbers.any():
        return result
    seed = ctx.derive(Stream.IMPUTATIONS) % 2**31
    draws = ctx.call("sample_imputations", index, incomplete, n_samples=_N_IMPUTATIONS, random_state=seed)
    which = ~cells.is_category
    drawn = np.stack([ctx.cells(draw).values[:, which] for draw in draws]).astype(np.float64) / scales[which]
    truth, gone = cells.values[:, which].astype(np.float64) / scales[which], numbers[:, which]
    coverage = [evaluation.interval_coverage(drawn, truth, gone, level).overall() for level in LEVELS]
    crps = float(np.nanmean(evaluation.crps(drawn, truth, gone)))
    half, most = (coverage[LEVELS.index(level)] for level in (0.5, 0.9))
    return result._replace(crps=crps, coverage_50=half, coverage_90=most, coverage=coverage)


def _hide_cells(ctx: Context, X: Array, share: float) -> Array:
    """Return which observed cells to hide, bool (N, D); every column keeps an observed cell."""
    hidden = ~np.isnan(X) & (ctx.generator(Stream.HIDDEN_CELLS).random(X.shape) < share)
    hidden &= ~np.isnan(np.where(hidden, np.nan, X)).all(axis=0)
    if not hidden.any():
        raise ValueError(f"impute={share!r} hides none of the {X.size} cells; increase it, or pass more samples.")
    return hidden


def _without(ctx: Context, index: Array, hidden: Array) -> Any:
    """Return the samples of `index` without the cells where `hidden`."""
    if ctx.table is None:
        return np.where(hidden, np.nan, ctx.X[index]).astype(ctx.X.dtype)
    table = ctx.rows(index)
    columns = {str(name): name for name in table.columns}
    for name, gone in zip(Cells.of_table(table.iloc[:1], ctx.estimator._codec).names, hidden.T, strict=True):
        column = table[columns[name]]
        column = column.astype(object) if column.dtype == bool else column
        table[columns[name]] = column.mask(gone, None if column.dtype == object else np.nan)
    return table
