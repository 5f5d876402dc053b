"""Tables larger than memory: a codec from one pass over the file, and the encoded rows in a temporary file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from isthmus.data import RowSource, TableBlocks
from isthmus.data.file_rows import stored_rows
from isthmus.tables import NumberColumn, TableCodec

__all__ = ["encode_blocks", "fit_blocks"]

_SAMPLE_ROWS = 100_000  # rows from which the codec is fitted
_MOST_LEVELS = 1_000_000  # different values of a column that are looked for beyond the sample


class _ColumnSummary:
    """What one pass over a column finds: missing cells, extremes or levels, and whether it numbers the rows."""

    def __init__(self) -> None:
        self.n_missing, self.n_rows = 0, 0
        self.counts_rows, self.first = True, 0
        self.extremes: Any = None  # pyarrow arrays
        self.levels: Any = None

    def add(self, cells: Any) -> None:
        """Take the cells of a block."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = cells.type
        if pa.types.is_floating(kind):
            cells = pc.if_else(pc.is_nan(cells), pa.scalar(None, kind), cells)
        self.n_missing += cells.null_count
        self.counts_rows = self.counts_rows and self._continues(cells)
        self.n_rows += len(cells)
        if cells.null_count == len(cells) or pa.types.is_nested(kind):
            return
        if pa.types.is_dictionary(kind):
            cells = cells.cast(kind.value_type)
        if pa.types.is_primitive(kind) and not pa.types.is_boolean(kind):
            found = pc.min_max(cells)
            own = pa.array([found["min"].as_py(), found["max"].as_py()], cells.type)
            self.extremes = own if self.extremes is None else pa.concat_arrays([self.extremes, own])
        elif self.levels is None or len(self.levels) < _MOST_LEVELS:
            own = pc.drop_null(pc.unique(cells))
            own = own.combine_chunks() if isinstance(own, pa.ChunkedArray) else own
            self.levels = own if self.levels is None else pc.unique(pa.concat_arrays([self.levels, own]))

    def _continues(self, cells: Any) -> bool:
        """Return whether the cells of a block are the next numbers, from 0 or 1."""
        import pyarrow as pa

        if not pa.types.is_integer(cells.type) or cells.null_count or not len(cells):
            return False
        values = cells.to_numpy()
        if not self.n_rows:
            self.first = int(values[0])
        return self.first in (0, 1) and bool((values == self.first + self.n_rows + np.arange(len(values))).all())

    def values_not_in(self, sample: Any) -> Any:
        """Return the extremes and levels that a sample of the column, a pyarrow array, does not have."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.extremes is not None:
            found = pc.min_max(self.extremes)
            return pa.array([found["min"].as_py(), found["max"].as_py()], self.extremes.type)
        if self.levels is None:
            return pa.array([], sample.type)
        plain = sample.cast(sample.type.value_type) if pa.types.is_dictionary(sample.type) else sample
        return self.levels.filter(pc.invert(pc.is_in(self.levels, pc.unique(plain))))


def fit_blocks(table: TableBlocks, fit: Callable[[Any], TableCodec], codec: TableCodec) -> TableCodec:
    """Return the codec of a table in a file.

    It is fitted to at most 100,000 random rows, and to the extremes and levels that these do not have; shares of
    missing cells are those of all rows.

    Parameters
    ----------
    table : TableBlocks
        The table.
    fit : callable
        Fits the codec to a DataFrame and returns it.
    codec : TableCodec
        The codec; columns that number the rows are added to those that it leaves out.
    """
    import pyarrow as pa

    n = min(_SAMPLE_ROWS, len(table))
    chosen = np.sort(np.random.default_rng(0).choice(len(table), n, replace=False))
    summaries = {name: _ColumnSummary() for name in table.columns}
    parts, start = [], 0
    for block in table.blocks():
        own = chosen[(chosen >= start) & (chosen < start + len(block))] - start
        parts.append(block.take(own))
        for name, summary in summaries.items():
            summary.add(block.column(name).combine_chunks())
        start += len(block)
    sample = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    _leave_out(codec, [name for name, summary in summaries.items() if summary.counts_rows and len(table) > 1])
    fitted = fit(table.to_frame(_with_rest(sample, summaries)))
    for column in fitted.columns or ():
        if str(column.name) in summaries:
            column.missing = summaries[str(column.name)].n_missing / len(table)
    return fitted


def _leave_out(codec: TableCodec, names: list[str]) -> None:
    """Leave out columns that number the rows, which no sample shows, unless their kind was given."""
    kinds = dict(codec.kinds or {})
    names = [name for name in names if name not in kinds]
    if names:
        codec.kinds = {**kinds, **dict.fromkeys(names, "left out")}
        shown = ", ".join(map(repr, names))
        warnings.warn(f"Left out of the model: column {shown} numbers the rows.", stacklevel=6)


def _with_rest(sample: Any, summaries: dict[str, _ColumnSummary]) -> Any:
    """Return a sample with further rows, in which each column has the cells that only other rows have.

    Where a column has fewer of them than another, it is filled up with cells of random rows of the sample.
    """
    import pyarrow as pa

    rest = {name: summaries[name].values_not_in(sample.column(name).combine_chunks()) for name in sample.column_names}
    n_more = max(len(cells) for cells in rest.values())
    if not n_more:
        return sample
    rows = np.random.default_rng(1).integers(0, len(sample), n_more)
    columns = []
    for name in sample.column_names:
        cells, kind = sample.column(name), sample.schema.field(name).type
        more = rest[name].cast(kind.value_type if pa.types.is_dictionary(kind) else kind)
        more = more.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else more
        columns.append(pa.chunked_array([*cells.chunks, more, *cells.take(rows[len(more) :]).chunks], kind))
    return pa.table(columns, schema=sample.schema)


def encode_blocks(codec: TableCodec, table: TableBlocks, *, noise: bool) -> RowSource:
    """Return the encoded rows of a table, which are kept in a temporary file as long as they are used.

    Raises
    ------
    DataError
        If there is no room for the file.
    """
    raw = any(isinstance(column, NumberColumn) and column.knots is None for column in codec.columns or ())
    # Scores for training need no more digits than the model computes with; results are those of the table in memory.
    dtype = np.float32 if noise and not raw else np.float64
    frames = map(table.to_frame, table.blocks())
    encoded = (codec.encode(frame, noise_seed=i if noise else None) for i, frame in enumerate(frames))
    return stored_rows(encoded, (len(table), len(codec.outputs())), dtype, table.name, None)
