"""Annotated matrices like AnnData: dense, sparse, on the disk, and without a matrix."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from isthmus import VAE
from isthmus.data import ArrayRows, DataError, as_source, reading

X = np.where(np.random.default_rng(0).random((40, 5)) < 0.5, 0.0, np.random.default_rng(1).poisson(3, (40, 5)))


def annotated(matrix):
    return SimpleNamespace(X=matrix, obs_names=[f"cell{i}" for i in range(40)], var_names=list("abcde"))


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize("above", [1, 1 << 20])
def test_rows_are_those_of_the_matrix(make, above, monkeypatch):
    monkeypatch.setattr(reading, "STREAM_ABOVE", above)
    source = as_source(annotated(make(X)))
    assert source.columns == tuple("abcde")
    assert isinstance(source, ArrayRows) == (make is np.asarray or above > 1)
    np.testing.assert_array_equal(source[7:30], X[7:30])
    np.testing.assert_array_equal(source.take(np.array([3, 20])), X[[3, 20]])


def test_a_model_takes_them(monkeypatch):
    kept = VAE(2, max_epochs=2, random_state=0).fit(annotated(sparse.csr_matrix(X)))
    assert list(kept.feature_names_in_) == list("abcde")
    table = pd.DataFrame(X, columns=list("abcde"))
    np.testing.assert_array_equal(kept.score_samples(annotated(X)), kept.score_samples(table))
    assert kept.reconstruct(annotated(X)).shape == X.shape
    monkeypatch.setattr(reading, "STREAM_ABOVE", 1)
    codes = kept.transform(annotated(sparse.csr_matrix(X)))
    np.testing.assert_allclose(codes, kept.transform(table), rtol=1e-5)


def test_without_a_matrix():
    with pytest.raises(DataError, match="its X is not a matrix of shape"):
        VAE().fit(annotated(None))
