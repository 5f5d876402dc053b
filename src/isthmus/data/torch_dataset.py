"""Rows of a torch ``Dataset``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import as_floats
from isthmus.data.errors import DataError
from isthmus.data.sources import RowSource

__all__ = ["DatasetRows"]


class DatasetRows(RowSource):
    """Rows of a torch ``Dataset`` with random access whose items are x or (x, ...); only x is used.

    Items are fetched one by one (together if the data set has ``__getitems__`` or is a ``TensorDataset``), so they may
    be decoded or augmented when they are used. If two calls for the same item differ, a resumed run differs too.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        A data set with ``__len__`` and ``__getitem__``. Items are flattened and must all have the same size.

    Raises
    ------
    DataError
        If the data set has no length, or its items are not numbers.

    Examples
    --------
    >>> import torch
    >>> data = torch.utils.data.TensorDataset(torch.arange(6.0).reshape(3, 2), torch.tensor([0, 1, 0]))
    >>> DatasetRows(data)[1:3].tolist()
    [[2.0, 3.0], [4.0, 5.0]]
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset, name = dataset, type(dataset).__name__
        try:
            n_rows, first = len(dataset), _numbers(dataset[0])
        except (TypeError, NotImplementedError, LookupError, RuntimeError) as error:
            raise DataError(
                f"{name}: a Dataset needs __len__ and __getitem__, and items x or (x, ...) with x an array of numbers "
                f"({type(error).__name__}: {error}); an IterableDataset has no random access."
            ) from error
        super().__init__(n_rows, first.size, first.dtype, name=name)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Fetch the items."""
        import torch

        if isinstance(self.dataset, torch.utils.data.TensorDataset):
            return _numbers(self.dataset.tensors[0][start:stop]).reshape(stop - start, -1)
        return self._items(list(range(start, stop)))

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the items at these indices, (n, D); no other item is fetched."""
        return self._items(rows.tolist())

    def _items(self, rows: list[int]) -> NDArray[Any]:
        together = getattr(self.dataset, "__getitems__", None)
        items = together(rows) if together else [self.dataset[row] for row in rows]
        found = np.empty((len(rows), self.n_features), self.dtype)
        for i, item in enumerate(items):
            numbers = _numbers(item)
            if numbers.size != self.n_features:
                raise DataError(
                    f"{self.name}: item {rows[i]} has {numbers.size} numbers, and item 0 has {self.n_features}; "
                    "give all items the same shape."
                )
            found[i] = as_floats(numbers.reshape(1, -1), self.dtype, self.name, [rows[i]])[0]
        return found


def _numbers(item: Any) -> NDArray[Any]:
    """Return the x of an item as an array."""
    x = item[0] if isinstance(item, (tuple, list)) else item
    return np.asarray(x.numpy(force=True) if hasattr(x, "numpy") else x)
