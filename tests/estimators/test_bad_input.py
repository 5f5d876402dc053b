"""Bad input raises one clear error before any work is done."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris

from isthmus import VAE, Autoencoder, ConditionalVAE, SparseAutoencoder
from isthmus._part import UnknownNameError
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP, Conv
from isthmus.objectives import PenalizedLikelihood
from isthmus.optimizers import Adam
from isthmus.training import EarlyStopping, Trainer

X, Y = load_iris(return_X_y=True)
QUICK = {"max_epochs": 1, "random_state": 0}


def with_cell(value):
    changed = X.copy()
    changed[3, 2] = value
    return changed


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X[0], "Expected 2D array, got 1D array"),
        (X.reshape(150, 2, 2), "dim 3"),
        (X[:0], "0 sample"),
        (X[:1], "1 sample"),
        (X[:, :0], "0 feature"),
        (with_cell(-np.inf), r"infinity \(inf\) in row 3, column 2, and 1 such cells in all: clip them"),
        (pd.DataFrame(with_cell(np.inf), columns=list("abcd")), "column 'c' has infinity .* row 3"),
        (np.column_stack([X, np.full(150, np.nan)]), "only NaN in column 4: drop it"),
        (np.array([[1, 2**53 + 1], [2, 3]]), r"X, row 0, column 1: 9007199254740993 is an integer beyond 2\^53, where"),
        (pd.DataFrame({"x": [0.5, 1], "id": [3, -(2**60)]}), "X, row 1, column 'id': -1152921504606846976 is.*drop"),
        (pd.DataFrame({"id": pd.array([None, 2**60, 3])}), "X, row 1, column 'id': 1152921504606846976 is an integer"),
        (np.array([[1, 2**64 - 1], [2, 3]], dtype=np.uint64), "X, row 0, column 1: 18446744073709551615 is an integer"),
        (np.array([["1", "red"], ["2", "blue"]], dtype=object), "has text, such as 'red': encode or drop"),
    ],
)
def test_data_that_cannot_be_fitted(data, message):
    with pytest.raises(ValueError, match=message):
        VAE(**QUICK).fit(data)


def test_other_data_after_fit():
    model = Autoencoder(2, **QUICK).fit(X)
    with pytest.raises(ValueError, match="3 features.*expecting 4"):
        model.transform(X[:, :3])
    with pytest.raises(ValueError, match="Z has 3 columns.*n_components=2"):
        model.inverse_transform(X[:, :3])
    with pytest.raises(ValueError, match="inf.* in row 3, column 2"):
        model.transform(with_cell(np.inf))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_components": 0}, "n_components=0 must be a whole number of at least 1"),
        ({"n_components": 2.5}, "n_components=2.5"),
        ({"max_epochs": 0}, "max_epochs=0"),
        ({"batch_size": -1}, "batch_size=-1"),
        ({"n_draws": 0}, "n_draws=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must lie strictly between"),
        ({"early_stopping": EarlyStopping(1.0)}, "validation_fraction=1.0"),
        ({"early_stopping": 5}, r"early_stopping must be 'auto', True, False or EarlyStopping\(...\) .*got 5"),
        ({"trainer": "fast"}, r"trainer must be None or Trainer\(...\) of isthmus.training, got 'fast'"),
        ({"trainer": Trainer(compile="yes")}, "compile='yes' must be 'auto', True or False"),
        ({"optimizer": 3}, "optimizer must be a name or a Optimizer object, got 3"),
        ({"optimizer": Adam(weight_decay=-1.0)}, "weight_decay=-1.0"),
        ({"optimizer": Adam(gradient_clip=0.0)}, "gradient_clip=0.0 must lie strictly between"),
        ({"optimizer": Adam(betas=(0.9, 1.0))}, r"betas=\(0.9, 1.0\) must be 'auto' or two numbers from 0 to below 1"),
        ({"optimizer": Adam(betas=(0.9,))}, "betas"),
        ({"optimizer": Adam(betas=0.9)}, "betas=0.9 must be 'auto' or two numbers"),
        ({"learning_rate": "fast"}, "learning_rate='fast' must lie strictly between"),
        ({"learning_rate": None}, "learning_rate=None must lie"),
        ({"optimizer": Adam(weight_decay=None)}, "weight_decay=None must be 'auto' or a number"),
        ({"hidden_layer_sizes": (8, 0)}, r"hidden_layer_sizes=\(8, 0\) must be a positive whole number or a sequence"),
        ({"hidden_layer_sizes": -8}, "hidden_layer_sizes=-8 must be"),
        ({"hidden_layer_sizes": 8.5}, "hidden_layer_sizes=8.5 must be"),
        ({"hidden_layer_sizes": "8"}, "hidden_layer_sizes='8' must be"),
        ({"hidden_layer_sizes": True}, "hidden_layer_sizes=True must be"),
        ({"hidden_layer_sizes": None}, "hidden_layer_sizes=None must be"),
        ({"penalties": "l1"}, r"must be a list: penalties=\['l1'\]"),
        ({"device": "cuda:99"}, "device='cuda:99' is not on this machine.*cpu"),
        ({"device": "gpu"}, "device='gpu' is not on this machine"),
        ({"network": "conv", "X": X[:, :3]}, r"image_shape=.*product.*3; which is not a square"),
        ({"network": Conv(image_shape=(3, 3))}, r"image_shape=\(3, 3\)"),
        ({"likelihood": Gaussian(scale=-1.0)}, "scale must be a positive number"),
        ({"likelihood": "bernoulli", "scaling": "none"}, r"X has .* column 0, and likelihood Bernoulli\(\) takes only"),
        (
            {"likelihood": "categorical", "X": np.floor(X * 1e6)},
            r"the level 7.9e\+06, and levels must be below 100,000",
        ),
        ({"posterior": "point"}, "infinite for a point posterior"),
        (
            {"posterior": "full_normal", "objective": PenalizedLikelihood(free_bits=0.1)},
            "free_bits needs independent latent units",
        ),
        ({"penalties": ["kl_sparsity"]}, "codes in \\(0, 1\\)"),
        ({"sample_weight": np.zeros(150)}, "non-zero number"),
        ({"likelihood": 3}, "likelihood must be a name or a Likelihood object, got 3"),
    ],
)
def test_field_values(fields, message):
    weight, data = fields.pop("sample_weight", None), fields.pop("X", X)
    with pytest.raises((ValueError, TypeError), match=message):
        VAE(**{**QUICK, **fields}).fit(data, sample_weight=weight)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"likelihood": "gausian"}, "unknown likelihood 'gausian'. Did you mean 'gaussian'"),
        ({"posterior": "diagonal"}, "Did you mean 'diagonal_normal'"),
        ({"prior": "standart_normal"}, "Did you mean 'standard_normal'"),
        ({"network": "mpl"}, "Did you mean 'mlp'"),
        ({"scaling": "standart"}, "Did you mean 'standard'"),
        ({"corruption": "mask"}, "Did you mean 'masking'"),
        ({"penalties": ["contractive"]}, "Did you mean 'contraction'"),
        ({"objective": "importance_weight"}, "Did you mean 'importance_weighted'"),
        ({"network": MLP(activation="rellu")}, "Did you mean 'relu'"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'. Did you mean 'adam'"),
        ({"optimizer": Adam(schedule="onecycle")}, "Did you mean 'one_cycle'"),
        ({"trainer": Trainer(precision="float46")}, "Did you mean 'float64'"),
    ],
)
def test_unknown_names_suggest_the_nearest_one(fields, message):
    with pytest.raises(UnknownNameError, match=message):
        VAE(**QUICK, **fields).fit(X)


def test_precision_that_the_device_does_not_have(monkeypatch):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    with pytest.raises(ValueError, match="no bf16 arithmetic .* 'float32'"):
        VAE(trainer=Trainer(precision="bf16"), device="cpu", **QUICK).fit(X)


def test_a_device_without_float64():
    with pytest.raises(ValueError, match=r"device='mps': it has no float64, .* Use one of: cpu"):
        VAE(device="mps", **QUICK).fit(X)


def test_unknown_parameter():
    with pytest.raises(TypeError, match="unknown parameter of VAE 'n_component'. Did you mean 'n_components'"):
        VAE(n_component=3)
    with pytest.raises(UnknownNameError, match="unknown parameter of Gaussian 'scal'. Did you mean 'scale'"):
        VAE(likelihood=Gaussian()).set_params(likelihood__scal=1.0)
    with pytest.raises(UnknownNameError, match="unknown parameter of Gaussian 'scal'. Did you mean 'scale'"):
        VAE().set_params(likelihood__scal=1.0)
    with pytest.raises(ValueError, match="Invalid parameter 'likelihod'"):
        VAE().set_params(likelihod__scale=1.0)
    with pytest.raises(ValueError, match=r"scaling__low: scaling='auto' has no parameters; set scaling \(min_max, "):
        VAE().set_params(scaling__low=0.0)
    with pytest.raises(ValueError, match="beta__over: beta=1.0 has no parameters; set beta as well"):
        VAE().set_params(beta__over=0.5)
    with pytest.raises(UnknownNameError, match="Did you mean 'l1'"):
        SparseAutoencoder(method="L1", **QUICK).fit(X)


def test_conditions():
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        ConditionalVAE(**QUICK).fit(X)
    model = ConditionalVAE(n_draws=2, **QUICK).fit(X, Y)
    with pytest.raises(ValueError, match="y has 7, which was not among the classes seen in fit: 0, 1, 2"):
        model.sample(2, y=7)
    with pytest.raises(ValueError, match="y has 2 labels for 150 samples"):
        model.transform(X, [0, 1])
    with pytest.raises(ValueError, match="n_samples=0 must be a whole number of at least 1"):
        model.sample(0)
    continuous = ConditionalVAE(n_draws=2, **QUICK).fit(X[:, :2], X[:, 2:])
    for method in (continuous.transform, continuous.score_samples, continuous.predict):
        with pytest.raises(ValueError, match="y was continuous in fit.*pass y"):
            method(X[:, :2])
    with pytest.raises(ValueError, match="y has 3 columns, but fit saw 2"):
        continuous.sample(4, y=[1.0, 2.0, 3.0])


MISSING_LABELS = {
    "None": pd.Series(["a", None] * 75, dtype=object),
    "NaN": pd.Series(["a", np.nan] * 75, dtype=object),
    "pandas.NA": pd.Series(["a", pd.NA] * 75, dtype=object),
    "string": pd.Series(["a", pd.NA] * 75, dtype="string"),
    "category": pd.Series(["a", None] * 75, dtype="category"),
    "Int64": pd.Series([1, pd.NA] * 75, dtype="Int64"),
    "float": np.array([1.0, np.nan] * 75),
    "masked": np.ma.masked_equal([0, 1] * 75, 1),
}


@pytest.mark.parametrize("labels", MISSING_LABELS.values(), ids=MISSING_LABELS.keys())
def test_missing_labels(labels):
    with pytest.raises(ValueError, match=r"y has no label in row 1 \(75 missing in all\): drop these samples, or give"):
        ConditionalVAE(**QUICK).fit(X, labels)
    model = ConditionalVAE(n_draws=2, **QUICK).fit(X, ["a", "b"] * 75)
    with pytest.raises(ValueError, match="y has no label in row 1"):
        model.transform(X, labels)


def test_conditions_that_are_neither_labels_nor_numbers():
    with pytest.raises(ValueError, match=r"y has labels of several types \(int, str\): convert them to one, as with"):
        ConditionalVAE(**QUICK).fit(X, np.array([1, "a"] * 75, dtype=object))
    with pytest.raises(ValueError, match="y has text, such as 'a', among numbers: pass one column of labels"):
        ConditionalVAE(**QUICK).fit(X, np.array([["a", 1.0], ["b", 1.0]] * 75, dtype=object))
    with pytest.raises(ValueError, match="y has no value in row 3, column 2"):
        ConditionalVAE(**QUICK).fit(X, with_cell(np.nan))
    with pytest.raises(ValueError, match="Input y contains infinity"):
        ConditionalVAE(**QUICK).fit(X, with_cell(np.inf)[:, 2])
    model = ConditionalVAE(**QUICK).fit(X[:, :2], X[:, 2:])
    with pytest.raises(ValueError, match="y has text, such as 'a', among numbers"):
        model.transform(X[:, :2], [["a", 1.0]] * 150)


def test_values_outside_the_support_after_fit():
    model = VAE(likelihood="continuous_bernoulli", **QUICK).fit(X / 10)
    with pytest.raises(ValueError, match=r"X has 1.3 in row 3, column 2.*takes only values in \[0, 1\]"):
        model.score_samples(with_cell(13.0) / 10)


def test_non_finite_loss_names_epoch_step_and_columns():
    data = X.copy()
    data[17, 1] = 1e30  # finite, but its square is not, in float32
    model = VAE(scaling="none", max_epochs=3, random_state=0)
    with pytest.raises(FloatingPointError, match=r"epoch 1, step \d: .* not finite. Worst in that step: column 1"):
        model.fit(data)
