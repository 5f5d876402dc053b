"""Methods of a fitted model in chunks of rows: the numbers of one piece, in one array."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from isthmus import VAE, DenoisingAutoencoder
from isthmus.corruptions import Masking
from isthmus.estimators import _chunking
from isthmus.training import Trainer

X = (load_digits().data[:60] / 16).astype(np.float64)
HOLES = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
METHODS = {
    "transform": lambda m: m.transform(X),
    "inverse_transform": lambda m: m.inverse_transform(m.transform(X)),
    "feature_errors": lambda m: m.feature_errors(X),
    "score_samples": lambda m: m.score_samples(HOLES),
    "elbo": lambda m: np.stack(m.elbo(X)),
    "impute": lambda m: m.impute(HOLES),
    "sample_latent": lambda m: m.sample_latent(X, 3, random_state=0),
}


@pytest.fixture(scope="module")
def model():
    fields = {
        "likelihood": "bernoulli",
        "scaling": "none",
        "trainer": Trainer(precision="float64"),
        "n_draws": 4,
        "random_state": 0,
    }
    return VAE(3, hidden_layer_sizes=(16,), max_epochs=1, **fields).fit(X)


@pytest.mark.parametrize("n_rows", [7, 3])  # in a chunk, or one where a row is drawn for four times: 3 draws, then 1
@pytest.mark.parametrize("method", METHODS)
def test_chunks_make_no_difference(method, n_rows, model, monkeypatch):
    whole = METHODS[method](model)
    monkeypatch.setattr(_chunking, "_CHUNK", n_rows * 64)
    parts = METHODS[method](model)
    assert parts.flags.c_contiguous
    assert parts.dtype == whole.dtype
    np.testing.assert_allclose(parts, whole, rtol=1e-10, atol=1e-12)


def test_a_chunk_that_memory_does_not_suffice_for_is_halved(model, monkeypatch):
    whole, real = model.transform(X), type(model.model_).encode

    def encode(self, x, *arguments, **keywords):
        if len(x) > 20:
            raise MemoryError
        return real(self, x, *arguments, **keywords)

    monkeypatch.setattr(type(model.model_), "encode", encode)
    with pytest.warns(RuntimeWarning, match="rows at once: they are computed in halves"):
        halves = model.transform(X)
    np.testing.assert_allclose(halves, whole, rtol=1e-10)


def test_draws_in_chunks(model, monkeypatch):
    whole = model.sample(40, random_state=0)
    monkeypatch.setattr(_chunking, "_CHUNK", 7 * 64)
    parts = model.sample(40, random_state=0)
    assert parts.shape == whole.shape == (40, 64)
    assert parts.dtype == whole.dtype == np.float64
    assert set(np.unique(parts)) == {0.0, 1.0}
    np.testing.assert_array_equal(parts, model.sample(40, random_state=0))


def test_a_cell_outside_the_support_is_named_with_its_row(model, monkeypatch):
    monkeypatch.setattr(_chunking, "_CHUNK", 7 * 64)
    rows = X.copy()
    rows[25, 3] = 1.3
    with pytest.raises(ValueError, match=r"1.3 in row 25, column 3.*takes only values in \[0, 1\]"):
        model.transform(rows)
    rows[20, 1] = np.nan  # where a cell is missing, every cell is looked at
    with pytest.raises(ValueError, match="1.3 in row 25, column 3"):
        model.score_samples(rows)
    rows[25, 3] = np.nan
    assert np.isfinite(model.score_samples(rows)).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_not_copied_where_nothing_changes_them(order):
    X = np.asarray(np.random.default_rng(0).random((40, 3), dtype=np.float32), order=order)
    before, seen = X.copy(), []

    class Looking(Masking):
        def build(self, x):
            super().build(x)
            seen.append(x)

    model = DenoisingAutoencoder(
        2, corruption=Looking(), likelihood="bernoulli", scaling="none", max_epochs=2, device="cpu"
    )
    model.fit(X)
    assert np.shares_memory(seen[0].numpy(), X) == (order == "C")  # other orders are slow to take rows from
    assert np.array_equal(X, before)
