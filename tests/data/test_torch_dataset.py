"""Rows of torch data sets that cannot be used."""

import numpy as np
import pytest
import torch

from isthmus.data import DataError, as_source

X = np.zeros((3, 2))


def test_data_sets_that_cannot_be_used():
    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield from X

    class Growing(torch.utils.data.Dataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return np.zeros(i + 1)

    with pytest.raises(DataError, match="an IterableDataset has no random access"):
        as_source(Endless())
    with pytest.raises(DataError, match="item 1 has 2 numbers, and item 0 has 1"):
        as_source(Growing())[:]
