"""Cells that are given by name, as ``{"sex": "F", "age": 30}``: as rows, and put back into samples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus._device import check_device
from isthmus._names import suggestion
from isthmus._random import seeded
from isthmus.estimators._check_fields import check_positive_integer
from isthmus.estimators._inference import Chunk, map_rows
from isthmus.estimators._validate import check_rows
from isthmus.evaluation import sample_given
from isthmus.model import Model
from isthmus.tables import TableCodec, to_pandas

__all__ = ["as_columns", "column_labels", "sample_given_cells", "table_of_given"]

_DRAWS, _MOST_DRAWS, _DRAWS_PER_SAMPLE = 1000, 100_000, 4  # codes from which samples are resampled
_MIN_EFFECTIVE = 30.0  # of 1,000 draws or more


def column_labels(estimator: Any) -> list[Any]:
    """Return the names of the columns that a fitted estimator saw, or their numbers."""
    if estimator._table is not None:
        return list(estimator._table.names)
    names = estimator._dataframe_columns
    names = getattr(estimator, "feature_names_in_", None) if names is None else names
    return list(range(estimator.n_features_in_) if names is None else names)


def sample_given_cells(estimator: Any, n_samples: int, given: Any, seed: int) -> tuple[Any, float]:
    """Return draws from p(x | given cells), and the effective number of codes that they come from.

    Parameters
    ----------
    estimator : VAE
        Fitted.
    n_samples : int
        Number of samples.
    given : dict
        Values by column, each one value for all samples, or n_samples of them.
    seed : int
        Seed.
    """
    check_positive_integer("n_samples", n_samples)
    names = column_labels(estimator)
    columns = as_columns(given, names, n_samples)
    rows = _rows_of_given(estimator, columns, names)
    n_draws, each = estimator.n_draws, 1
    if len(rows) == 1:  # all samples are resampled from the same codes
        n_draws, each = min(max(_DRAWS, _DRAWS_PER_SAMPLE * n_samples), _MOST_DRAWS), n_samples
    sizes = []

    def draw(model: Model, chunk: Chunk) -> Tensor:
        mask = torch.ones_like(chunk.x) if chunk.mask is None else chunk.mask
        drawn, size = sample_given(model, chunk.x, mask, each, max(n_draws, 2))
        sizes.append(size)
        return model.scaling.to_data_units(drawn).to(chunk.raw)

    with seeded(seed, check_device(estimator.device)):
        drawn = map_rows(estimator, draw, rows, draws=n_draws, axis=1)
    matrix = drawn.reshape(n_samples, -1).astype(estimator._dtype, copy=False)
    samples = _put_back(estimator._like_training_data(matrix), columns, estimator._table, names)
    size = float(torch.cat(sizes).min())
    if size < min(_MIN_EFFECTIVE, _MIN_EFFECTIVE / _DRAWS * n_draws):
        warnings.warn(
            f"The samples come from {size:.1f} effective draws of {n_draws:,}: what is given is rare, or unlike the "
            "training data, so that they are more alike than they should be. Give fewer columns, or fit a "
            "ConditionalVAE.",
            stacklevel=3,
        )
    return samples, size


def as_columns(given: Any, names: list[Any], n_samples: int) -> dict[Any, np.ndarray]:
    """Return given cells as columns of one row if all are single values, else of `n_samples` rows.

    Raises
    ------
    TypeError
        If `given` is no dictionary.
    ValueError
        If a name is unknown, nothing is given, or a column has another length.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f'given={given!r} must be a dictionary of values by column, such as {{"age": 30}}.')
    for name in given:
        if name not in names:
            near = suggestion(str(name), [str(n) for n in names])
            raise ValueError(f"given names the column {name!r}, which the training data did not have.{near}")
    if not given:
        raise ValueError("given is empty: name at least one column, or leave it out.")
    columns = {name: value if _is_column(value) else [value] for name, value in given.items()}
    n_rows = n_samples if any(map(_is_column, given.values())) else 1
    for name, column in columns.items():
        if len(column) not in (1, n_rows):
            raise ValueError(f"given has {len(column)} values of {name!r} for {n_samples} samples.")
    return {name: _repeated(column, n_rows) for name, column in columns.items()}


def _is_column(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and hasattr(value, "__len__") and hasattr(value, "__getitem__")


def _repeated(column: Any, n: int) -> np.ndarray:
    cells = np.empty(len(column), dtype=object)
    cells[:] = list(column)
    return np.repeat(cells, n) if len(cells) == 1 else cells


def _rows_of_given(estimator: Any, columns: Mapping[Any, np.ndarray], names: list[Any]) -> np.ndarray:
    """Return the matrix of rows with the given cells, NaN elsewhere.

    Raises
    ------
    ValueError
        If a cell is missing, is no number where numbers were in ``fit``, or a category that ``fit`` did not see.
    """
    if estimator._codec is not None:
        return check_rows(estimator, table_of_given(estimator._codec, columns, names))
    matrix = np.full((len(next(iter(columns.values()))), len(names)), np.nan, dtype=estimator._dtype)
    for name, cells in columns.items():
        own = matrix[:, names.index(name)]
        try:
            own[:] = cells.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"given[{name!r}] must be numbers, and is {cells[0]!r}.") from error
        if not np.isfinite(own).all():
            raise ValueError(f"given[{name!r}] has a value that is missing or infinite: leave that column out.")
    return matrix


def table_of_given(codec: Any, columns: Mapping[Any, np.ndarray], names: list[Any]) -> Any:
    """Return a pandas DataFrame with the given cells, and all others missing."""
    import pandas as pd

    kinds = {column.name: column for column in codec.columns}
    table = pd.DataFrame(index=range(len(next(iter(columns.values())))))
    for name in names:
        cells = columns.get(name)
        if cells is None:
            table[name] = pd.Series(np.full(len(table), None), dtype=object)
            continue
        if kinds[name].kind == "time" and isinstance(cells[0], str) and kinds[name].text_format is None:
            cells = pd.to_datetime(pd.Series(cells)).to_numpy()
        table[name] = pd.Series(cells).infer_objects()
        if table[name].isna().any():
            raise ValueError(f"given[{name!r}] has a missing value: leave that column out.")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            matrix = codec.encode(table)
        except UserWarning as warning:  # a level that fit did not see would count as missing
            raise ValueError(f"given: {str(warning).partition(';')[0]}.") from None
    for name, own in zip(codec.names, codec.matrix_columns(), strict=True):
        if name in columns and (not own or np.isnan(matrix[:, own]).all(axis=1).any()):
            raise ValueError(f"given names the column {name!r}, of which nothing was learned: leave it out.")
    return table


def _put_back(samples: Any, columns: Mapping[Any, np.ndarray], codec: TableCodec | None, names: list[Any]) -> Any:
    """Return samples with the given cells in them as they were given, in the dtype of their column."""
    if isinstance(samples, np.ndarray):
        for name, cells in columns.items():
            samples[:, names.index(name)] = cells.astype(samples.dtype)
        return samples
    import pandas as pd

    table = to_pandas(samples).copy()
    for name, cells in columns.items():
        dtype = table[name].dtype
        own = pd.Series(_repeated(cells, len(table)), index=table.index).infer_objects()
        try:
            table[name] = own.astype(dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"given[{name!r}] is {cells[0]!r}, which is not a valid {dtype}: {error}") from error
        if dtype.kind in "iu" and (table[name] != own).any():
            raise ValueError(f"given[{name!r}] is {cells[0]!r}, and that column has whole numbers ({dtype}).")
    return table if codec is None or codec.frame is None else codec.frame.restore(table)
