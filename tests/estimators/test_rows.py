"""Rows through a trained model in chunks: the numbers of one piece, in one array."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from isthmus import VAE, DenoisingAutoencoder
from isthmus._random import seeded
from isthmus.corruptions import Masking
from isthmus.estimators import _inference
from isthmus.likelihoods import Bernoulli
from isthmus.likelihoods._sampling import bernoulli, sample_bernoulli

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
    fields = {"likelihood": "bernoulli", "scaling": "none", "precision": "float64", "n_draws": 4, "random_state": 0}
    return VAE(3, hidden_layer_sizes=(16,), max_epochs=1, **fields).fit(X)


@pytest.mark.parametrize("n_rows", [7, 3])  # in a chunk, or one where a row is drawn for four times: 3 draws, then 1
@pytest.mark.parametrize("method", METHODS)
def test_chunks_make_no_difference(method, n_rows, model, monkeypatch):
    whole = METHODS[method](model)
    monkeypatch.setattr(_inference, "_CHUNK", n_rows * 64)
    parts = METHODS[method](model)
    assert parts.flags.c_contiguous
    assert parts.dtype == whole.dtype
    np.testing.assert_allclose(parts, whole, rtol=1e-10, atol=1e-12)


def test_draws_in_chunks(model, monkeypatch):
    whole = model.sample(40, random_state=0)
    monkeypatch.setattr(_inference, "_CHUNK", 7 * 64)
    parts = model.sample(40, random_state=0)
    assert parts.shape == whole.shape == (40, 64)
    assert parts.dtype == whole.dtype == np.float64
    assert set(np.unique(parts)) == {0.0, 1.0}
    np.testing.assert_array_equal(parts, model.sample(40, random_state=0))


def test_a_cell_outside_the_support_has_its_row_s_number(model, monkeypatch):
    monkeypatch.setattr(_inference, "_CHUNK", 7 * 64)
    rows = X.copy()
    rows[25, 3] = 1.3
    with pytest.raises(ValueError, match=r"1.3 in row 25, column 3.*takes only values in \[0, 1\]"):
        model.transform(rows)
    rows[20, 1] = np.nan  # where a cell is missing, every cell is looked at
    with pytest.raises(ValueError, match="1.3 in row 25, column 3"):
        model.score_samples(rows)
    rows[25, 3] = np.nan
    assert np.isfinite(model.score_samples(rows)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("draw", [bernoulli, sample_bernoulli])
def test_zeros_and_ones(draw, dtype):
    p = torch.tensor([0.0, 1e-3, 0.3, 0.999, 1.0], dtype=dtype)
    with seeded(0):
        x = draw(p.expand(200_000, 5))
    assert x.dtype == dtype
    assert set(x.unique().tolist()) == {0.0, 1.0}
    mean = x.double().mean(0)
    assert mean[0] == 0
    assert mean[4] == 1
    error = (mean - p.double()).abs()[1:4] / (p.double() * (1 - p.double()) / len(x)).sqrt()[1:4]
    assert (error < 4).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_between_two_numbers_of_16_bits(dtype):
    p = torch.full((50_000,), 1 / 3 / 65_536, dtype=dtype)
    certain = torch.ones(1_000_000, dtype=dtype)  # sums that are rounded would give a 0 here and there
    with seeded(0):
        ones = sum(sample_bernoulli(p.expand(40, -1)).sum().item() for _ in range(5))
        assert sample_bernoulli(certain).all()
    expected = 5 * 40 * p.sum().item()  # of 10 million cells: 51
    assert abs(ones - expected) < 4 * expected**0.5


def test_short_numbers_are_drawn_as_finely():
    p = torch.full((200_000,), 1e-3, dtype=torch.bfloat16)
    with seeded(0):
        x = sample_bernoulli(p)
    assert x.dtype == torch.bfloat16
    expected = p.double().sum().item()
    assert abs(x.double().sum().item() - expected) < 4 * expected**0.5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_zeros_and_ones_are_the_same_in_memory_of_any_type(dtype):
    p = torch.linspace(0, 1, 999).expand(50, -1)
    with seeded(0):
        expected = sample_bernoulli(p)
    with seeded(0):
        out = torch.full(p.shape, torch.nan, dtype=dtype)
        assert sample_bernoulli(p, out) is out
    assert torch.equal(out.to(p.dtype), expected)


def test_cells_that_are_drawn_at_once_do_not_go_together():
    p = torch.full((50,), 0.5)
    with seeded(0):
        first, second = sample_bernoulli(p.expand(8_000, 50)), sample_bernoulli(p.expand(8_000, 50))
    with seeded(0):
        assert torch.equal(sample_bernoulli(p.expand(8_000, 50)), first)
    columns = torch.corrcoef(torch.cat([first, second], dim=1).T)
    rows = torch.corrcoef(first[:100].reshape(50, 100))
    assert columns.fill_diagonal_(0).abs().max() < 5 / 8_000**0.5
    assert rows.fill_diagonal_(0).abs().max() < 5 / 100**0.5


@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_that_need_no_change_are_trained_on_where_they_are(order):
    X = np.asarray(np.random.default_rng(0).random((40, 3), dtype=np.float32), order=order)
    before, seen = X.copy(), []

    class Looking(Masking):
        def build(self, x):
            super().build(x)
            seen.append(x)

    model = DenoisingAutoencoder(2, corruption=Looking(), likelihood="bernoulli", scaling="none", max_epochs=2)
    model.fit(X)
    assert np.shares_memory(seen[0].numpy(), X) == (order == "C")  # other orders are slow to take rows from
    assert np.array_equal(X, before)


def test_binarised_anew_at_every_step():
    part = Bernoulli(binarize=True)
    part.build(64)
    x = torch.from_numpy(X)
    with seeded(0):
        first, second = part.sample_targets(x), part.sample_targets(x)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    assert (first[x == 0] == 0).all()
