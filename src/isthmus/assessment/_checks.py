"""The verdict: one sentence per check, with its number and what that is compared with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.assessment._evidence import Check, Evidence, check, missing, number, percent
from isthmus.assessment._membership import Membership
from isthmus.assessment._results import Mean

__all__ = ["dead_units", "verdict"]

Array = np.ndarray

_IGNORED = 0.05  # explained share of a column below which it is ignored
_DEPENDENT = 0.15  # Cramer's V with another column; chance alone gives up to about 0.1 in 1,000 rows
_COLLAPSED = 0.01  # variance of the posterior mean
_TAIL, _MAX_TAIL = 0.01, 0.03  # of the model's own samples, and of rows in that tail
_MAX_ACCURACY, _MIN_ACCURACY = 0.7, 0.4  # of the two-sample test; below 0.5, samples are nearer to rows than rows are
_MAX_UNRELIABLE = 0.1
_MAX_GAP = 0.1  # of what was learned that is lost on held-out rows
_STILL_FALLING = 0.1  # share of the fall of the loss that the last tenth of the epochs had
_COVERAGE = (0.8, 0.97)  # of intervals of 90 %


def verdict(evidence: Evidence) -> list[Check]:
    """Return all checks, in the order of their ids."""
    checks = (_density, _fit, _units, _columns, _rows, _reconstructions, _samples, _imputations, _reliability)
    return [judge(evidence) for judge in checks]


# ---- ISTH-01 to 03 -------------------------------------------------------------------------------------------


def _density(e: Evidence) -> Check:
    """Compare log p(x) with that of the best simple model, or of independent columns."""
    references = e.references if not isinstance(e.references, str) else []
    if not isinstance(e.independent, str):
        references = [*references, e.independent]
    if not references:
        return missing(1, e.references if isinstance(e.references, str) else str(e.independent))
    best = max(references, key=lambda reference: float(reference.scores.mean()))
    gain = Mean.of(e.scores - best.scores)
    error = gain.standard_error if math.isfinite(gain.standard_error) else 0.0
    apart = abs(gain.mean) > 2 * error
    better = gain.mean > 0 and apart
    difference = f"{abs(gain.mean):.2f} ± {error:.2f}"
    words = f"{difference} {'better' if better else 'worse'} than" if apart else "no better than"
    others = "the best of PCA, FactorAnalysis and GaussianMixture, " if len(references) > 2 else ""
    text = (
        f"{e.score_name} is {number(float(e.scores.mean()))} nats per row, {words} {others}{best}: "
        f"{number(float(best.scores.mean()))}{'' if apart else f' (difference: {difference})'}."
    )
    if isinstance(e.references, str):
        text += f" PCA, FactorAnalysis and GaussianMixture were not compared, because {e.references}."
    return check(1, "good" if better else "warning", text, float(e.scores.mean()), float(best.scores.mean()))


def _fit(e: Evidence) -> Check:
    """Find over- and underfitting, from training rows or from the history."""
    falling = None if e.history and "validation_loss" in e.history[-1] else _still_falling(e.history)
    settled = falling is None or falling <= _STILL_FALLING
    end = ""
    if falling is not None and settled:
        brought = f"brought {percent(falling)} of its fall" if falling > 0 else "did not bring it down any more"
        end = f" The loss has settled: the last tenth of the epochs {brought}."
    found = _validation(e, falling, end) if isinstance(e.training_scores, str) else _gap(e, end)
    if settled or found.status == "warning":
        return found
    assert falling is not None
    text = (
        f"Underfitted: the last tenth of the epochs brought {percent(falling)} of the fall of the loss, where at "
        f"most {percent(_STILL_FALLING)} is usual at the end; train for more epochs."
    )
    return check(2, "warning", text, falling, _STILL_FALLING)


def _validation(e: Evidence, falling: float | None, end: str) -> Check:
    """Compare the losses of training and validation rows at the end of the training."""
    last = e.history[-1] if e.history else {}
    if "validation_loss" not in last:
        reason = "there are neither training rows (--train) nor validation losses to compare with"
        text = f"Overfitting was not checked, because {reason}.{end}"
        return check(2, "none" if falling is None else "good", text, falling)
    gap = last["validation_loss"] - last["loss"]
    fall = e.history[0]["loss"] - last["loss"]
    overfitted = fall > 0 and gap > 0.5 * fall
    words = "Overfitted" if overfitted else "Not overfitted"
    text = (
        f"{words}: the loss of validation rows is {number(last['validation_loss'])} nats, and {number(last['loss'])} "
        f"on training rows, a difference of {number(gap)}; the loss fell by {number(fall)} in training.{end}"
    )
    return check(2, "warning" if overfitted else "good", text, last["validation_loss"], last["loss"])


def _gap(e: Evidence, end: str) -> Check:
    """Compare the scores of training and held-out rows."""
    train, own = float(np.mean(e.training_scores)), float(e.scores.mean())
    gap = train - own
    end += " " + Membership.of(np.asarray(e.training_scores), e.scores).sentence(e.score_name)
    error = math.hypot(*(Mean.of(scores).standard_error for scores in (e.training_scores, e.scores)))
    if isinstance(e.independent, str):
        explained, before = e.assessment.reconstruction.explained_variance, e.training_explained or 0.0
        overfitted = before - explained > _MAX_GAP
        detail = f"reconstructions explain {percent(before)} of training rows and {percent(explained)} of held-out rows"
        text = f"{'Overfitted' if overfitted else 'Not overfitted'}: {detail}.{end}"
        return check(2, "warning" if overfitted else "good", text, explained, before)
    learned = train - float(e.independent.scores.mean())
    lost = gap / learned if learned > 0 else math.inf
    overfitted = gap > 3 * error and lost > _MAX_GAP
    share = f", {percent(lost)} of what it gains over independent columns" if math.isfinite(lost) else ""
    words = "Overfitted" if overfitted else "Not overfitted"
    text = (
        f"{words}: {e.score_name} is {number(train)} on training rows and {number(own)} on held-out rows, "
        f"a difference of {number(gap)} ± {number(error)} nats{share}.{end}"
    )
    return check(2, "warning" if overfitted else "good", text, own, train)


def _still_falling(history: list[dict[str, float]]) -> float | None:
    """Return the share of the fall of the loss in the last tenth of the epochs; None if the loss did not fall."""
    losses = [record["loss"] for record in history if math.isfinite(record.get("loss", math.nan))]
    if len(losses) < 2 or not losses[0] > losses[-1]:
        return None
    n = max(1, len(losses) // 10)
    return (losses[-1 - n] - losses[-1]) / (losses[0] - losses[-1])


def dead_units(codes: Array, *, density: bool) -> list[int]:
    """Return the units whose code hardly varies between rows: for a density, with a variance of at most 0.01."""
    variance = np.var(codes, axis=0, ddof=1)
    limit = _COLLAPSED if density else 1e-8 * float(variance.max(initial=0.0))
    return [int(k) for k in np.flatnonzero(variance <= limit)]


def _units(e: Evidence) -> Check:
    latent, n = e.assessment.latent, e.codes.shape[1]
    collapsed = dead_units(e.codes, density=latent is not None)
    word = "dead" if latent is None else "collapsed"
    if not collapsed:
        text = f"None of the {n} latent units is {word}: the code of each varies between rows."
        return check(3, "good", text, 0.0, float(n))
    named = ", ".join(map(str, collapsed[:12])) + (f" and {len(collapsed) - 12} more" if len(collapsed) > 12 else "")
    are, they = ("is", "It carries") if len(collapsed) == 1 else ("are", "They carry")
    more = "" if latent is None else ", unless a slower warm-up or free bits activate more"
    text = (
        f"{len(collapsed)} of {n} latent units {are} {word}: {named}. {they} no information; "
        f"n_components={max(1, n - len(collapsed))} would do{more}."
    )
    return check(3, "warning", text, float(len(collapsed)), float(n))


# ---- ISTH-04 to 06 -------------------------------------------------------------------------------------------


def _columns(e: Evidence) -> Check:
    """Find columns of which reconstructions know nothing, although other columns do."""
    columns = [c for c in e.assessment.reconstruction.columns if math.isfinite(c.explained)]
    if not columns:
        return missing(4, "no column varies")
    ignored = sorted((c for c in columns if c.explained < _IGNORED), key=lambda c: c.explained)
    if not ignored:
        least = min(columns, key=lambda c: c.explained)
        text = (
            f"None of the {len(columns)} columns is ignored: reconstructions explain at least "
            f"{percent(least.explained)} of each (least of {least.name})."
        )
        return check(4, "good", text, 0.0, float(len(columns)))
    if e.dependence is None:
        return _ignored_pixels(columns, ignored)
    lost = [c for c in ignored if e.dependence.get(c.name, 0.0) > _DEPENDENT]
    named = [f"{c.name} (explained: {percent(c.explained)})" for c in (lost or ignored)]
    shown = ", ".join(named[:8]) + (f" and {len(named) - 8} more" if len(named) > 8 else "")
    if not lost:
        text = (
            f"No column is ignored that depends on another one; {len(ignored)} of {len(columns)} depend on no other, "
            f"and are not reconstructed: {shown}."
        )
        return check(4, "good", text, 0.0, float(len(columns)))
    one = len(lost) == 1
    text = (
        f"{len(lost)} of {len(columns)} columns {'is' if one else 'are'} ignored, although "
        f"{'it depends' if one else 'they depend'} on others: {shown}. More latent units or more epochs may help."
    )
    return check(4, "warning", text, float(len(lost)), float(len(columns)))


def _ignored_pixels(columns: list[Any], ignored: list[Any]) -> Check:
    """Judge ignored pixels by their share of the variance of all."""
    share = sum(c.baseline**2 for c in ignored) / sum(c.baseline**2 for c in columns)
    text = (
        f"{len(ignored)} of {len(columns)} pixels that vary are ignored (explained: less than {percent(_IGNORED)}); "
        f"they have {percent(share)} of the variance."
    )
    return check(4, "warning" if share > _IGNORED else "good", text, share, _IGNORED)


def _rows(e: Evidence) -> Check:
    n = len(e.scores)
    if isinstance(e.sample_scores, str):
        middle = float(np.median(e.scores))
        spread = 1.4826 * float(np.median(np.abs(e.scores - middle)))
        share = float(np.mean(e.scores < middle - 5 * spread)) if spread > 0 else 0.0
        text = (
            f"{percent(share)} of {n:,} rows have a {e.score_name} more than 5 robust standard deviations below the "
            f"median; up to {percent(_TAIL)} is usual."
        )
    else:
        limit = float(np.quantile(e.sample_scores, _TAIL))
        share = float(np.mean(e.scores < limit))
        text = (
            f"{percent(share)} of {n:,} rows are less likely than all but {percent(_TAIL)} of the model's own samples "
            f"({e.score_name} below {number(limit)}); {percent(_TAIL)} would be expected."
        )
    status = "warning" if share > _MAX_TAIL and share * n >= 3 else "good"
    return check(5, status, text, share, _TAIL)


def _reconstructions(e: Evidence) -> Check:
    """Compare reconstructions with PCA, which has no other aim; a good density may explain less."""
    if isinstance(e.linear, str):
        return missing(6, e.linear)
    own, pca, k = e.linear.explained_by_model, e.linear.explained, e.linear.n_components
    better = own > pca - 0.005
    words = "more than" if own > pca + 0.005 else "as much as" if better else "less than"
    text = (
        f"Reconstructions explain {percent(own)} of held-out rows, {words} those of PCA with "
        f"{k} {'unit' if k == 1 else 'units'}: {percent(pca)}."
    )
    dense = e.assessment.likelihood is not None
    if not better and dense:
        text += " A model of the density leaves to noise what costs more nats than it explains."
    return check(6, "good" if better else "note" if dense else "warning", text, own, pca)


# ---- ISTH-07 to 09 -------------------------------------------------------------------------------------------


def _samples(e: Evidence) -> Check:
    found = e.assessment.samples
    if found is None:
        reason = (
            "there are fewer than 12 complete rows" if e.assessment.latent else "the model has no density to sample"
        )
        return missing(7, reason)
    accuracy = found.two_sample_accuracy
    if accuracy > _MAX_ACCURACY:
        status, words = "warning", "samples are unlike the rows"
    elif accuracy < _MIN_ACCURACY:
        status, words = "warning", "samples are nearer to the rows than rows are to each other, as copies would be"
    else:
        status, words = "good", "samples are much like the rows"
    text = (
        f"A classifier of nearest neighbours tells samples from rows with an accuracy of {percent(accuracy)}, where "
        f"50.0\u00a0% is chance: {words}."
    )
    return check(7, status, text, accuracy, 0.5)


def _imputations(e: Evidence) -> Check:
    found = e.assessment.imputation
    if found is None:
        return missing(8, e.no_imputation)
    parts, good = [], True
    value = baseline = None
    if found.rmse is not None and found.rmse_of_column_means is not None:
        value, baseline = found.rmse, found.rmse_of_column_means
        good &= found.rmse < found.rmse_of_column_means
        parts.append(
            f"hidden numbers are imputed with an error of {number(found.rmse)} standard deviations (by column means: "
            f"{number(found.rmse_of_column_means)})"
        )
    if found.accuracy is not None and found.accuracy_of_most_frequent is not None:
        value, baseline = (value, baseline) if value is not None else (found.accuracy, found.accuracy_of_most_frequent)
        good &= found.accuracy >= found.accuracy_of_most_frequent - 0.01
        parts.append(
            f"hidden levels with an accuracy of {percent(found.accuracy)} (the most frequent level: "
            f"{percent(found.accuracy_of_most_frequent)})"
        )
    if found.coverage_90 is not None:
        good &= _COVERAGE[0] <= found.coverage_90 <= _COVERAGE[1]
        parts.append(f"intervals of 90.0\u00a0% hold {percent(found.coverage_90)} of them")
    text = "; ".join(parts)
    return check(8, "good" if good else "warning", f"{text[:1].upper()}{text[1:]}.", value, baseline)


def _reliability(e: Evidence) -> Check:
    found = e.assessment.likelihood
    if found is None:
        return missing(9, "the model has no density p(x)")
    share = len(found.unreliable) / len(e.scores)
    text = (
        f"log p(x) is unreliable, and usually too low, in {percent(share)} of the rows; the median row has "
        f"{number(found.median_effective_draws)} effective draws of {found.n_draws}."
    )
    return check(9, "warning" if share > _MAX_UNRELIABLE else "good", text, share, _MAX_UNRELIABLE)
