"""The contents of the explorer for a model and its data, independent of any web page."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from isthmus.explorer._colours import Colour, default_colour, list_colours
from isthmus.explorer._conditions import Conditions
from isthmus.explorer._formats import make_format
from isthmus.explorer._inspection import CellErrors, inspect_row
from isthmus.explorer._prior import PriorShape
from isthmus.explorer._rows import n_rows, take
from isthmus.explorer._units import rank_units, unit_ranges
from isthmus.tables import is_table, to_pandas

__all__ = ["Explorer"]

MAX_SCORED = 50_000  # points that are scored: enough for a rank, and a million would take an hour
_FEWEST = 20  # scores among which a row has a rank
_CHUNK = 1024  # rows that are encoded or scored at once
N_SAMPLE = 2000  # rows from which ranges, errors to expect, and the importance of units are taken


class Explorer:
    """A fitted model and data, as the page of ``isthmus explore`` shows them.

    Rows are numbered by `points`: a random order, the same in every run, of which any beginning is a sample of the
    data. All methods may be called by several threads.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array, table or source of shape (N, D), optional
        Data to show.
    y : array-like of shape (N,) or (N, C), or table, optional
        Labels; a conditional model encodes rows given them, or given the columns that it is conditioned on.
    image_shape : tuple of int, optional
        (height, width), or with 1 or 3 channels before or after them, if rows are images.
    name, data_name : str
        What the page calls the model and the data.

    Raises
    ------
    ValueError
        If the data do not fit the model, or have as many labels as rows.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from isthmus.explorer import Explorer
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> explorer = Explorer(VAE(2, max_epochs=20, random_state=0).fit(X), X)
    >>> explorer.prepare()
    >>> header, _ = explorer.decode([[0.0, 0.0]])
    >>> len(header["text"][0])
    4
    """

    def __init__(
        self,
        model: Any,
        X: Any = None,
        y: Any = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        name: str = "model",
        data_name: str = "",
    ) -> None:
        if y is not None and len(y) != n_rows(X):
            raise ValueError(f"y has {len(y)} labels for the {n_rows(X)} rows of X.")
        if is_table(X):  # of any library, with its columns in any order
            X = to_pandas(X) if model._codec is None else to_pandas(X)[model._codec.names]
        self.model, self.X = model, X
        self.conditions = Conditions(model)
        as_table = self.conditions.in_table and is_table(y)
        self.y = None if y is None else to_pandas(y) if as_table else np.asarray(y)
        self.name, self.data_name = name, data_name
        self.n_rows, self.n_units = n_rows(X), int(model._n_features_out)
        self.lock = threading.Lock()
        self.order = np.random.default_rng(0).permutation(self.n_rows)
        first = np.sort(self.order[:N_SAMPLE])
        self._sample = take(X, first) if self.n_rows else self._rows_without_data()
        if self.n_rows:  # an error about the data comes before anything is served
            self.encode(take(X, slice(0, 1)), self.labels(slice(0, 1)))
            if self.conditions.fields and self.y is not None:
                self.conditions.start_from(self.y)
        self.rows = make_format(model, X, image_shape, self._sample)
        self.codes = np.zeros((self.n_rows, self.n_units), np.float32)  # in the order of X
        self.scores = np.full(self.n_rows, np.nan)
        self.n_to_score, self.n_scored = min(self.n_rows, MAX_SCORED), 0
        self._first = first
        self.dropped: Any = None  # rows that were dropped on the page
        self.dropped_y: Any = None  # and the columns that they are conditioned on, if their file has them

    def _rows_without_data(self) -> Any:
        """Return rows that the model makes, for the ranges of columns and pixels."""
        if not self.model.has_density:
            return self.model.inverse_transform(
                np.random.default_rng(0).normal(size=(64, self.n_units)), *self.given(None)
            )
        given = self.given(None)
        return self.model.sample(256, random_state=0, **({"y": given[0]} if given else {}))

    # ---- preparation ---------------------------------------------------------------------------------------

    def prepare(
        self, progress: Callable[[str, int, int], None] = lambda _stage, _done, _of: None, *, scores: bool = True
    ) -> None:
        """Compute all that :meth:`describe` returns: codes, errors to expect, the importance of units, and scores.

        Parameters
        ----------
        progress : callable, optional
            Is called with what is computed, how many rows are done, and of how many.
        scores : bool, default=True
            Whether rows are scored.
        """
        for start in range(0, self.n_rows, _CHUNK):
            self.encode_part(start, start + _CHUNK)
            progress("codes", min(start + _CHUNK, self.n_rows), self.n_rows)
        self.finish_codes()
        if scores and self.errors.n_to_compare:
            self.errors.extend(0, self.errors.n_to_compare)
        for start in range(0, self.n_to_score if scores else 0, _CHUNK):
            self.score_part(start, start + _CHUNK)
            progress("scores", self.n_scored, self.n_to_score)

    def encode_part(self, start: int, stop: int) -> None:
        """Compute the codes of some rows."""
        part = slice(start, min(stop, self.n_rows))
        self.codes[part] = self.encode(take(self.X, part), self.labels(part))

    def score_part(self, start: int, stop: int) -> None:
        """Compute the scores of some points."""
        index = np.sort(self.order[start : min(stop, self.n_to_score)])
        self.scores[index] = self.score(take(self.X, index), self.labels(index))
        self.n_scored = max(self.n_scored, min(stop, self.n_to_score))

    def finish_codes(self) -> None:
        """Compute what follows from the codes of all rows."""
        with self.lock:
            self.ranges = unit_ranges(self.codes)
            codes = self.codes[self._first] if self.n_rows else None
            self.importance = rank_units(self.model, codes, self.ranges, self._encoded_conditions())
            self.errors = CellErrors(self, self._sample, self.labels(self._first))
            self.prior = PriorShape(self.model)
        self.colours: list[Colour] = list_colours(self)

    def _encoded_conditions(self) -> np.ndarray | None:
        """Return the conditions of the sample, or a typical one for all rows, as the networks take them."""
        if not self.model.conditional:
            return None
        y = self.labels(self._first) if self.n_rows else None
        y = self.conditions.typical() if y is None else y
        return np.asarray(self.model._condition.encode(y, len(y)))

    # ---- the model, with one lock: torch's generator is seeded while completions are drawn -------------------

    def given(self, y: Any) -> tuple[Any, ...]:
        """Return the condition as further arguments: without one, the start values of columns, or no class."""
        if not self.model.conditional:
            return ()
        if y is None and self.conditions.fields:
            y = self.conditions.parse(self.conditions.start)
        return () if y is None else (y,)

    def labels(self, index: Any) -> Any:
        """Return the labels of some rows; None if there are none."""
        return None if self.y is None else take(self.y, index)

    def encode(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the codes of rows, (N, K)."""
        with self.lock:
            return np.asarray(self.model.transform(X, *self.given(y)), dtype=np.float32)

    def score(self, X: Any, y: Any = None) -> np.ndarray:
        """Return log p(x) of rows, or log p(x|f(x)) if the model has no density, (N,)."""
        with self.lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not self.model.has_density:
                return -np.asarray(self.model.reconstruction_error(X))
            return np.asarray(self.model.score_samples(X, *self.given(y)))

    @property
    def given_columns(self) -> list[np.ndarray]:
        """The values of the columns that rows are conditioned on; of a single one without a table, they are labels."""
        if not self.conditions.fields or self.y is None or self.y.ndim == 1:
            return []
        return self.conditions.values(self.y)

    # ---- what the page asks for ----------------------------------------------------------------------------

    @property
    def quantity(self) -> str:
        """The name of the scores."""
        if not self.model.has_density:
            return "log p(x|f(x))"
        given = self.model.conditional and (self.y is not None or self.conditions.fields)
        return "log p(x|y)" if given else "log p(x)"

    def describe(self) -> dict[str, Any]:
        """Return what the page has to know of model and data, for JSON."""
        return {
            "name": self.name,
            "model": type(self.model).__name__,
            "data": self.data_name,
            "n_rows": self.n_rows,
            "n_units": self.n_units,
            "low": self.ranges[0].tolist(),
            "high": self.ranges[1].tolist(),
            "order": self.importance.tolist(),
            "row": self.rows.describe(),
            "colours": [{"name": colour.name, "kind": colour.kind} for colour in self.colours],
            "colour": default_colour(self),
            "quantity": self.quantity,
            "has_density": self.model.has_density,
            **self.conditions.describe(),
        }

    def unit(self, k: int) -> bytes:
        """Return the codes of a unit in the order of points, as uint16 between the lowest and the highest."""
        self._check("unit", k, self.n_units)
        low, high = self.ranges[:, k]
        scaled = (self.codes[self.order, k] - low) * (65535.0 / (high - low))
        return np.clip(scaled + 0.5, 0, 65535).astype("<u2").tobytes()

    def colour(self, k: int) -> tuple[dict[str, Any], bytes]:
        """Return the legend of a colouring, and the number of its entry for each point as uint8."""
        self._check("colour", k, len(self.colours))
        legend, index = self.colours[k].compute(self)
        return legend, index[self.order].astype(np.uint8).tobytes()

    def decode(self, codes: Any, condition: Any = None) -> tuple[dict[str, Any], bytes]:
        """Return the rows that codes stand for.

        Parameters
        ----------
        codes : array-like of shape (n, K)
            Codes.
        condition : int or dict, optional
            What a conditional model is given: the number of a class, or a value for each column.
        """
        Z, given = self._check_codes(codes), self.given(self.conditions.parse(condition))
        with self.lock:
            values = self.model._decode_codes(Z, *given)
        return self.rows.pack_decoded(values)

    def _decoded(self, codes: Any, y: Any) -> Any:
        Z = self._check_codes(codes)
        with self.lock:
            return self.model.inverse_transform(Z, *self.given(y))

    def _check_codes(self, codes: Any) -> np.ndarray:
        Z = np.asarray(codes, dtype=np.float32)
        if Z.ndim != 2 or Z.shape[1] != self.n_units or not np.isfinite(Z).all():
            raise ValueError(f"codes must be finite numbers of shape (n, {self.n_units}).")
        return Z

    @staticmethod
    def _check(what: str, k: int, n: int) -> None:
        if not 0 <= k < n:
            raise ValueError(f"{what} {k}: there are {n}, numbered from 0.")

    def row_of(self, point: int) -> tuple[int, Any, Any]:
        """Return the number of a point's row, the row, and its label as a sequence or table of one (or None)."""
        self._check("point", point, self.n_rows)
        row = int(self.order[point])
        return row, take(self.X, slice(row, row + 1)), self.labels(slice(row, row + 1))

    def with_names(self, X: Any) -> Any:
        """Return rows as a DataFrame if they are an array, and the model was fitted to columns with names."""
        names = getattr(self.model, "feature_names_in_", None)
        if names is None or not isinstance(X, np.ndarray):
            return X
        import pandas as pd

        return pd.DataFrame(X, columns=names)

    def row_like(self, where: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
        """Return what a row is called, the row, and its label: of a point, a dropped row, or the one of a code.

        Parameters
        ----------
        where : dict
            ``{"point": i}``, ``{"dropped": i}`` or ``{"code": [...]}``; and ``"condition"`` for the last two.
        """
        if where.get("point") is not None:
            row, X, y = self.row_of(int(where["point"]))
            label = None if y is None or self.conditions.fields else str(y[0])
            condition = self.conditions.of_row(y)
            return {"point": int(where["point"]), "row": row, "label": label, "condition": condition}, X, y
        given = self.conditions.parse(where.get("condition"))
        if where.get("dropped") is not None:
            k = int(where["dropped"])
            self._check("dropped row", k, n_rows(self.dropped))
            y = None if self.dropped_y is None else take(self.dropped_y, slice(k, k + 1))
            condition = self.conditions.of_row(y)
            name = {"dropped": k, "row": k, "label": None, "condition": condition}
            return name, take(self.dropped, slice(k, k + 1)), given if y is None else y
        y = given if given is None or self.conditions.fields else np.array([given])
        return {"label": None}, self.with_names(self._decoded([where["code"]], given)), y

    def inspect(self, where: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return a row, its reconstruction, and the error of each cell in nats and in words; see :meth:`row_like`."""
        name, X, y = self.row_like(where)
        known = self.scores[name["row"]] if "point" in name else np.nan
        header, body = inspect_row(self, X, y, float(known))
        return header | name, body

    def rank(self, score: float) -> float | None:
        """Return the share of the data whose score is lower; None while few rows have a score."""
        known = self.scores[np.isfinite(self.scores)]
        return float((known < score).mean()) if len(known) >= min(_FEWEST, self.n_rows) > 0 else None

    def path(self, start: int, stop: int, n: int, condition: Any = None) -> tuple[dict[str, Any], bytes]:
        """Return `n` rows decoded on the straight line between the codes of two points, given a condition."""
        if not 2 <= n <= 64:
            raise ValueError(f"{n} steps: a path has 2 to 64.")
        ends = [self.codes[self.row_of(point)[0]] for point in (start, stop)]
        codes = ends[0] + np.linspace(0, 1, n, dtype=np.float32)[:, None] * (ends[1] - ends[0])
        header, body = self.decode(codes, condition)
        return header | {"codes": codes.tolist()}, body
