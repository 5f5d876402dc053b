"""Numbers at the limits of floating point: a fit works, or raises one clear error; parameters are finite.

Warnings are errors in all tests, so that these also show that there are none.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from isthmus import VAE, Autoencoder, ConditionalVAE, SparseAutoencoder
from isthmus.scaling import Standard

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)) @ RNG.normal(size=(4, 4))
QUICK = {"max_epochs": 2, "hidden_layer_sizes": (4,), "random_state": 0}


def assert_works(model, X, *y, **fields):
    """Fit, and check that all that is computed is finite."""
    model.fit(X, *y, **fields)
    for name, tensor in model.model_.state_dict().items():
        assert name == "scaling.constant" or bool(tensor.isfinite().all()), name
    assert np.isfinite([record["loss"] for record in model.history_]).all()
    results = [getattr(model, name)(X, *y) for name in ("transform", "reconstruct", "reconstruction_error")]
    for result in (*results, model.score(X, *y)):
        assert np.isfinite(np.asarray(result, dtype=float)).all()
    return model


def with_cell(value):
    changed = X.copy()
    changed[3, 1] = value
    return changed


DATA = {
    **{f"times {scale:g}": X * scale for scale in (1e-300, 1e-160, 1e-30, 1e30, 1e160, 1e300)},
    "columns of all scales": X * [1e-30, 1.0, 1e30, 1e300],
    "denormal numbers": X * 5e-324,
    "a cell of 1e300": with_cell(1e300),
    "nearly constant": 1e6 + 1e-6 * X,
    "a column nearly constant": np.column_stack([X, 1e6 + 1e-6 * X[:, 0]]),
    "constant but for rounding": np.column_stack([X, 1e300 + np.spacing(1e300) * (X[:, 0] > 0)]),
    "Cauchy": np.random.default_rng(1).standard_cauchy((60, 4)) ** 3,
    "two rows": X[:2],
    "equal rows": np.repeat(X[:1], 20, axis=0),
    "zeros": np.zeros((20, 4)),
    "equal columns": np.column_stack([X, X, X]),
    "one column": X[:, :1],
    "one row observed": np.where(np.arange(40)[:, None] == 0, X, np.nan),
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA.keys())
def test_scales(data):
    assert_works(Autoencoder(2, **QUICK), data)


@pytest.mark.parametrize("name", ["times 1e-160", "times 1e+300", "a cell of 1e300", "Cauchy", "two rows"])
def test_scales_of_a_vae(name):
    model = assert_works(VAE(2, **QUICK), DATA[name])
    assert np.isfinite(model.sample(10, random_state=0)).all()
    assert np.isfinite(model.score_samples(DATA[name])).all()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_linear_autoencoder_is_as_good_in_any_unit(scale):
    fields = {"max_epochs": 1, "random_state": 0, "hidden_layer_sizes": ()}
    one, other = (Autoencoder(4, **fields).fit(data).reconstruct(data) for data in (X, X * scale))
    assert np.abs(one - X).max() < 0.3
    assert np.abs(other / scale - X).max() < 0.3


@pytest.mark.parametrize("per", ["feature", "all"])
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_standard_deviation_of_numbers_whose_squares_are_no_floats(per, scale):
    x = torch.tensor([[-1.0, -2.0], [1.0, 2.0]]).double()
    own, usual = Standard(per=per), Standard(per=per)
    for scaling, data in ((own, x * scale), (usual, x)):
        scaling.build(2)
        scaling.set_from_data(data, torch.ones(2))
    assert torch.allclose(own.scale / scale, usual.scale)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_cell(1e306), r"X has 1e\+306 in column 1, and sums of such numbers are beyond the largest float64"),
        (with_cell(3e38).astype(np.float32), r"X has 3e\+38 in column 1, .* largest float32, 3.40282e\+38: divide"),
        (with_cell(np.inf), "infinity .* in row 3, column 1"),
        (with_cell(np.nan)[:, 1:2] * np.nan, "only NaN in column 0"),
        (X[:1], "1 sample"),
        (X[:0], "0 sample"),
        (X[:, :0], "0 feature"),
        (X + 1j, "X has dtype complex128: Complex data not supported; pass real and imaginary parts as columns"),
        (X.astype("M8[s]"), "X has dtype datetime64.*: pass dates as columns of a DataFrame"),
        (X.astype("m8[s]"), "X has dtype timedelta64.*: divide durations by one"),
        (np.zeros((5, 2), "i4,f8"), "pass a structured array as a DataFrame"),
    ],
)
def test_what_cannot_be_learned(data, message):
    with pytest.raises(ValueError, match=message) as raised:
        Autoencoder(2, **QUICK).fit(data)
    assert "\n" not in str(raised.value)


def test_a_learning_rate_that_is_too_large_is_one_error_and_changes_no_parameter_to_nan():
    model = Autoencoder(2, **QUICK | {"max_epochs": 30}, learning_rate=1e10)
    with pytest.raises(FloatingPointError, match=r"reconstruction is not finite.*lower learning_rate=1e\+10"):
        model.fit(X)
    assert all(bool(p.isfinite().all()) for p in model.model_.parameters())


def test_more_units_than_features():
    assert_works(SparseAutoencoder(30, k=6, **QUICK), X)
    assert_works(VAE(9, **QUICK), X)


DTYPES = ["f2", "f4", "g", "?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">f8", ">f4", ">i4", ">u2", "O", "U9"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    data = np.abs(np.round(2 * X))
    data = data > 1 if dtype == "?" else data
    usual = Autoencoder(2, **QUICK).fit(data.astype(float)).transform(data.astype(float))
    codes = assert_works(Autoencoder(2, **QUICK), data.astype(dtype)).transform(data.astype(dtype))
    assert np.allclose(codes, usual, atol=1e-4)


@pytest.mark.parametrize("layout", ["strided", "reversed", "fortran", "read-only", "memory-mapped", "broadcast"])
def test_layouts(layout, tmp_path):
    np.save(tmp_path / "X.npy", X.astype(">f8"))
    read_only, repeated = X.copy(), np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)
    read_only.flags.writeable = False
    data = {
        "strided": repeated[::2, ::2],
        "reversed": X[::-1, ::-1],
        "fortran": np.asfortranarray(X),
        "read-only": read_only,
        "memory-mapped": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "broadcast": np.broadcast_to(X[:, :1], X.shape),
    }[layout]
    before = np.array(data)
    codes = assert_works(Autoencoder(2, **QUICK), data).transform(data)
    assert np.array_equal(codes, Autoencoder(2, **QUICK).fit(before).transform(before))
    assert np.array_equal(data, before)


def test_nullable_columns():
    frame = pd.DataFrame(X, columns=list("abcd")).astype("Float64")
    frame["e"] = pd.array([1, 2, None, 4] * 10, dtype="Int64")
    frame.iloc[0, 0] = pd.NA
    assert_works(Autoencoder(2, **QUICK), frame)


WEIGHTS = {
    "enormous": np.full(40, 1e300),
    "tiny": np.full(40, 1e-300),
    "of all sizes": 10.0 ** np.linspace(-300, 300, 40),
    "one enormous": np.r_[1e300, np.ones(39)],
    "one that counts": np.r_[1.0, np.zeros(39)],
}


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_weights(weight):
    assert_works(VAE(2, **QUICK), X, sample_weight=weight)


def test_only_ratios_of_weights_count():
    weight = np.linspace(0.5, 2.0, 40)
    usual = Autoencoder(2, **QUICK).fit(X, sample_weight=weight)
    enormous = Autoencoder(2, **QUICK).fit(X, sample_weight=weight * 1e200)
    assert np.allclose(usual.transform(X), enormous.transform(X), atol=1e-4)


@pytest.mark.parametrize(
    ("weight", "message"),
    [(np.zeros(40), "at least one non-zero"), (-np.ones(40), "Negative"), (np.full(40, np.nan), "NaN")],
)
def test_weights_that_are_none(weight, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(2, **QUICK).fit(X, sample_weight=weight)


@pytest.mark.parametrize("y", [np.zeros(40, int), np.ones((40, 2)) * 1.5, X[:, :2] * 1e300], ids=["class", "y", "huge"])
def test_conditions(y):
    assert_works(ConditionalVAE(2, **QUICK), X, y)


def test_many_columns():
    data = np.random.default_rng(0).normal(size=(4, 10_000)).astype(np.float32)
    assert_works(Autoencoder(2, **QUICK), data)
