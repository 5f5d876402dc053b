"""One row in detail: its reconstruction, and the error of each cell in nats and in words."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from isthmus.explorer._oddness import Judgement, Oddness
from isthmus.explorer._rows import Images, take

__all__ = ["CellErrors", "inspect_row"]

_MAX_COLUMNS = 16  # given whose others each cell is scored, which takes a log p(x) for each
_MAX_COST = 1 << 18  # columns times squared units, with which it takes time: the page waits for each row
_MOST = 100  # rows from which such errors to expect are taken
_LEAST = 20  # rows that are needed for that


class CellErrors:
    """The errors of cells, and the errors to expect.

    If the model has few columns and units, and can compute it, an error is -log p(cell | all other cells of the row),
    once :meth:`extend` has computed enough rows; until then, and otherwise, it is the error of the reconstruction.

    Parameters
    ----------
    explorer : Explorer
        The model and its data.
    sample : array or table
        Rows from which errors to expect are taken.
    y : array, optional
        Their labels.
    """

    def __init__(self, explorer: Any, sample: Any, y: Any) -> None:
        self.explorer = explorer
        self.at_code = Oddness(self._of_reconstruction(sample, y))
        self.given_others: Oddness | None = None
        self._found: list[np.ndarray] = []

    @property
    def n_to_compare(self) -> int:
        """How many rows :meth:`extend` needs; 0 if cells are not scored given the others."""
        explorer = self.explorer
        n = explorer.rows.n_cells
        few = n <= _MAX_COLUMNS and n * explorer.n_units**2 <= _MAX_COST and not isinstance(explorer.rows, Images)
        return min(_MOST, explorer.n_rows) if few and hasattr(explorer.model, "score_features") else 0

    def extend(self, start: int, stop: int) -> None:
        """Compute the errors of some points given the other cells."""
        explorer = self.explorer
        index = np.sort(explorer.order[start : min(stop, self.n_to_compare)])
        with explorer.lock:
            self._found.append(self._of_cells(take(explorer.X, index)))
        errors = np.concatenate(self._found)
        if len(errors) >= _LEAST:
            self.given_others = Oddness(errors)

    def judge(self, X: Any, y: Any) -> tuple[Judgement, str]:
        """Return what is odd about a row (1, D), and what its errors are conditioned on."""
        rows = self.explorer.rows
        oddness = self.given_others
        if oddness is None:
            return self.at_code.judge(self._of_reconstruction(X, y)[0], rows), "the code of the row"
        return oddness.judge(self._of_cells(X)[0], rows), "the other cells of the row"

    def _of_cells(self, X: Any) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return -np.asarray(self.explorer.model.score_features(X), dtype=np.float64)

    def _of_reconstruction(self, X: Any, y: Any) -> np.ndarray:
        return np.asarray(self.explorer.model.feature_errors(X, *self.explorer.given(y)), dtype=np.float64)


def inspect_row(explorer: Any, X: Any, y: Any, known: float) -> tuple[dict[str, Any], bytes]:
    """Return a row (1, D), its reconstruction, and the error of each cell in nats and in words.

    Parameters
    ----------
    explorer : Explorer
        The model and its data.
    X, y : array or table, and array or None
        The row, and its label.
    known : float
        Its score; NaN if the score is still to be computed.
    """
    code = explorer.encode(X, y)
    with explorer.lock:
        made = explorer.model.reconstruct(X, *explorer.given(y))
        judged, given = explorer.errors.judge(X, y)
    score = known if np.isfinite(known) else float(explorer.score(X, y)[0])
    original, first = explorer.rows.pack(X)
    reconstruction, second = explorer.rows.pack(made)
    header = {
        "code": code[0].tolist(),
        "score": score if np.isfinite(score) else None,
        "rank": explorer.rank(score),
        "original": original,
        "reconstruction": reconstruction,
        "given": given,
        **judged.header,
    }
    return header, first + second + judged.picture
