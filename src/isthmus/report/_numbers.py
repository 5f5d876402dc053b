"""The numbers of a report as JSON: whatever the page shows, and no more than a few hundred kilobytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.assessment import Examination
from isthmus.assessment._membership import Membership

__all__ = ["as_json", "as_numbers", "describe"]

_N_BINS = 40


def as_numbers(examination: Examination, name: str) -> dict[str, Any]:
    """Return everything that the page shows."""
    return {
        "format": 1,
        "data": {
            "name": name,
            "rows": examination.n_rows,
            "rows_used": len(examination.index),
            "columns": int(examination.context.estimator.n_features_in_),
        },
        "model": describe(examination.context.estimator),
        "verdict": [check._asdict() for check in examination.checks],
        "assessment": as_json(examination.assessment),
        "references": [_reference(reference) for reference in examination.references],
        "reconstructions_by_pca": as_json(examination.linear),
        "samples_told_by_trees": as_json(examination.classifier),
        "score": examination.score_name,
        "scores": {name: _histogram(scores) for name, scores in score_sets(examination).items()},
        "membership": None if examination.training_scores is None else _membership(examination)._asdict(),
        "odd_rows": as_json(examination.odd),
        "effects": as_json(examination.effects),
        "marginals": as_json(examination.marginals),
        "dependencies": as_json(examination.dependencies),
        "history": as_json(examination.context.estimator.history_),
        "not_computed": examination.not_computed,
    }


def describe(estimator: Any) -> dict[str, Any]:
    """Return what an estimator is: its class, its parts and its size."""
    model = estimator.model_
    return {
        "class": type(estimator).__name__,
        "fields": repr(estimator),
        "n_components": int(estimator.n_components_),
        "n_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "likelihood": type(model.likelihood).__name__ if estimator._codec is not None else repr(model.likelihood),
        "prior": repr(model.prior) if estimator.has_density else None,
        "epochs": int(estimator.n_iter_),
        "seconds": float(sum(record.get("seconds", 0.0) for record in estimator.history_)),
    }


def score_sets(examination: Examination) -> dict[str, np.ndarray]:
    """Return the sets of scores whose histograms are drawn, by name: that of the rows first."""
    sets = {"rows": examination.scores}
    if examination.sample_scores is not None:
        sets["samples of the model"] = examination.sample_scores
    if examination.training_scores is not None:
        sets["training rows"] = examination.training_scores
    if examination.references:
        best = max(examination.references, key=lambda reference: float(reference.scores.mean()))
        sets[f"rows, by {best}"] = best.scores
    return sets


def _membership(examination: Examination) -> Membership:
    assert examination.training_scores is not None
    return Membership.of(examination.training_scores, examination.scores)


def _reference(reference: Any) -> dict[str, Any]:
    return {
        "name": reference.name,
        "n_components": reference.n_components,
        "mean": float(reference.scores.mean()),
        "standard_error": float(reference.scores.std(ddof=1) / math.sqrt(len(reference.scores))),
    }


def _histogram(scores: np.ndarray) -> dict[str, Any]:
    """Return the mean, the quantiles and a histogram of scores."""
    finite = scores[np.isfinite(scores)]
    low, high = (float(v) for v in np.quantile(finite, [0.005, 1.0])) if len(finite) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1.0, _N_BINS + 1)
    return {
        "mean": float(finite.mean()) if len(finite) else None,
        "quantiles": {f"{q:g}": float(np.quantile(finite, q)) for q in (0.01, 0.1, 0.5, 0.9, 0.99)}
        if len(finite)
        else {},
        "edges": edges.tolist(),
        "counts": np.histogram(np.clip(finite, low, None), edges)[0].tolist(),
    }


def as_json(value: Any) -> Any:
    """Return nested named tuples as dicts; None for what is not finite or was not computed.

    Examples
    --------
    >>> as_json((float("nan"), np.float64(1.5)))
    [None, 1.5]
    """
    if hasattr(value, "_asdict"):
        return {name: as_json(item) for name, item in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
