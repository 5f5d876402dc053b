"""Samples of a model, and the comparison of what onnxruntime computes from them with the estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from isthmus._random import seeded
from isthmus.export._graphs import Scorer
from isthmus.export._inputs import condition_input, inputs_of, onnx_input, table_input
from isthmus.tables import TimeColumn

__all__ = ["Examples", "check_file"]

_SIZES = (1, 2, 1000)  # rows that are computed
_N_DRAWS = 5  # of the scorer
_TOLERANCE = {"float32": 1e-4, "float64": 1e-8}  # relative, or of numbers below 1 absolute
_LOOSE = {"effective_sample_size": 500.0}  # factor of the tolerance: weights are exponentials of log p
_ROUNDED = 0.01  # part of a table's decoded cells that may be rounded to another number or level


class Examples(NamedTuple):
    """Samples that a model has drawn.

    Attributes
    ----------
    rows : array or table of N rows
        As the estimator takes them.
    y : array, table or None
        Their conditions.
    X, noise, code : ndarray
        Inputs of the graphs.
    condition : ndarray of shape (N, C) or None
        Their input of conditions.
    """

    rows: Any
    y: Any
    X: np.ndarray
    noise: np.ndarray
    code: np.ndarray
    condition: np.ndarray | None

    @classmethod
    def of(cls, estimator: Any) -> Examples:
        """Draw as many samples as are needed, the same every time."""
        n, rng, model = max(_SIZES), np.random.default_rng(0), estimator.model_
        y = _draw_conditions(estimator._condition, n, rng) if estimator.conditional else None
        dtype = model.network.dtype
        c = None if y is None else torch.from_numpy(estimator._condition.encode(y, n)).to(dtype)
        code = rng.standard_normal((n, estimator._n_features_out))
        with torch.no_grad(), seeded(0):
            drawn = model.likelihood.sample(model.decode(torch.from_numpy(code).to(dtype), c))
            matrix = model.scaling.to_data_units(drawn).double().numpy()
        codec = estimator._codec
        rows = matrix if codec is None else codec.decode(matrix)
        noise = rng.standard_normal((_N_DRAWS, n, code.shape[1]))
        own = None if y is None else condition_input(estimator, y)
        return cls(rows, y, onnx_input(estimator, rows), noise, code, own)

    def inputs(self, part: str, n: int) -> dict[str, np.ndarray]:
        """Return the first `n` rows of the inputs of a graph by name."""
        found = {"code": self.code[:n]} if part == "decoder" else {"X": self.X[:n]}
        found |= {"noise": self.noise[:, :n]} if part == "scorer" else {}
        found |= {} if self.condition is None else {"y": self.condition[:n]}
        return {name: np.ascontiguousarray(values) for name, values in found.items()}

    def results(self, part: str, estimator: Any) -> list[np.ndarray]:
        """Return what the estimator computes."""
        given = () if self.y is None else (self.y,)
        if part == "encoder":
            return [estimator.transform(self.rows, *given)]
        if part == "decoder":
            made = estimator.inverse_transform(self.code, *given)
            return [made if estimator._codec is None else table_input(estimator._codec, made)]
        with torch.no_grad():
            inputs = map(torch.from_numpy, self.inputs(part, len(self.X)).values())
            return [values.numpy() for values in Scorer(estimator, torch.float64)(*inputs)]


def _draw_conditions(condition: Any, n: int, rng: np.random.Generator) -> Any:
    if hasattr(condition, "classes"):
        return rng.choice(condition.classes, n)
    numbers = condition.mean + condition.scale * rng.standard_normal((n, len(condition.mean)))
    if not hasattr(condition, "codec"):
        return numbers
    codes = [rng.integers(k, size=n) if k else numbers[:, i] for i, k in enumerate(condition.levels)]
    return condition.codec.decode(np.column_stack(codes).astype(np.float64))


def check_file(file: Path, part: str, estimator: Any, examples: Examples, dtype: str) -> None:
    """Compute examples by onnxruntime, and compare them with the estimator's.

    Raises
    ------
    ValueError
        If onnxruntime has no implementation of an operator, or results differ.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base of what it raises
        advice = "; use float32." if dtype == "float64" else "."
        raise ValueError(f"onnxruntime cannot run the {part} in {dtype}: {error}{advice}") from error
    names = [output.name for output in session.get_outputs()]
    expected = examples.results(part, estimator)
    kept = _comparable(estimator) if part == "decoder" else slice(None)
    allowed = _ROUNDED if part == "decoder" and estimator._codec is not None else 0.0
    for n in _SIZES:
        found = session.run(None, examples.inputs(part, n))
        for name, own, reference in zip(names, found, expected, strict=True):
            ours, theirs = (values[:n][..., kept] for values in (own, reference))
            tolerance = _TOLERANCE[dtype] * _LOOSE.get(name, 1.0)
            wrong = ~np.isclose(ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True)
            if wrong.sum() > allowed * wrong.size + (n < max(_SIZES) and allowed > 0):
                largest = float(np.nanmax(np.abs(ours - theirs)))
                raise ValueError(
                    f"the {part} as ONNX differs from the model by up to {largest:.3g} in {name} with {n} rows; "
                    "nothing was written."
                )


def _comparable(estimator: Any) -> Any:
    """Return the columns of decoded rows to compare: the elements of times are joined and rounded by the estimator."""
    codec = estimator._codec
    if codec is None:
        return slice(None)
    return [i for i, own in enumerate(inputs_of(codec)) if not isinstance(own.column, TimeColumn)]
