"""Conventions of scikit-learn beyond its own checks: composition, repeatability, memory, and no side effects."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logsumexp
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from isthmus import VAE, Autoencoder, ConditionalVAE, estimators, load
from isthmus.corruptions import Masking
from isthmus.likelihoods import Gaussian, StudentT
from isthmus.networks import MLP
from isthmus.penalties import KL, L1, Contraction, Warmup
from isthmus.training import EarlyStopping, Trainer

X, Y = load_iris(return_X_y=True)
BUNDLED = (load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine)
ESTIMATORS = [getattr(estimators, name) for name in estimators.__all__]
QUICK = {"max_epochs": 2, "random_state": 0, "hidden_layer_sizes": (8,)}
by_class = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)


@by_class
def test_same_seed_gives_the_same_bits(cls):
    a, b = (cls(3, **QUICK).fit(X, Y).transform(X) for _ in range(2))
    other = cls(3, **{**QUICK, "random_state": 1}).fit(X, Y).transform(X)
    assert (a == b).all()
    assert not np.allclose(a, other)


@by_class
def test_clone_and_nested_parts(cls):
    model = cls(3, likelihood=Gaussian(scale="feature"), penalties=[Contraction(0.1)], corruption=Masking(0.2))
    copy = clone(model)
    assert repr(copy) == repr(model)
    assert copy.likelihood == model.likelihood
    assert copy.likelihood is not model.likelihood
    copy.set_params(likelihood__scale=0.5)
    assert model.likelihood.scale == "feature"
    fitted = copy.set_params(**QUICK).fit(X, Y)
    assert not hasattr(copy.likelihood, "n_features"), "fit builds a clone of the part, never the part itself"
    assert fitted.model_.likelihood.scale == 0.5


@by_class
def test_parameters_of_parts_that_are_named_by_a_string(cls):
    model = cls(3)
    assert model.get_params()["likelihood__scale"] == Gaussian().scale
    assert model.get_params(deep=False)["likelihood"] == "gaussian"
    assert repr(model.set_params(**model.get_params())) == repr(cls(3)), "what get_params lists, set_params takes"
    changed = clone(model).set_params(likelihood__scale=0.5, network__activation="tanh", **QUICK)
    assert changed.likelihood == Gaussian(scale=0.5)
    assert changed.network == MLP(activation="tanh")
    assert clone(changed).get_params() == changed.get_params()
    fitted = changed.fit(X, Y)
    assert fitted.model_.likelihood.scale == 0.5
    network = fitted.model_.network
    assert (network.hidden_layer_sizes, network.activation) == ((8,), "tanh")
    named = cls(likelihood="student_t").set_params(likelihood__df=3.0)
    assert named.likelihood == StudentT(df=3.0)


def test_grid_search_over_parameters_of_parts():
    grid = {"likelihood__scale": [0.1, 0.5, "feature"], "prior__n_mixture": [2, 3]}
    search = GridSearchCV(VAE(prior="mixture_of_normals", **QUICK), grid, cv=2).fit(X)
    assert search.best_estimator_.model_.likelihood.scale == search.best_params_["likelihood__scale"]
    assert search.best_estimator_.prior.n_mixture == search.best_params_["prior__n_mixture"]
    assert len({round(score, 6) for score in search.cv_results_["mean_test_score"]}) == 6


def test_one_hidden_layer_as_a_number():
    fields = {"max_epochs": 2, "random_state": 0}
    one, same = (VAE(hidden_layer_sizes=sizes, **fields).fit(X) for sizes in (8, (8,)))
    assert (one.transform(X) == same.transform(X)).all()
    assert (one.sample(3, random_state=0) == same.sample(3, random_state=0)).all()
    assert clone(one).hidden_layer_sizes == 8


def test_pipeline_and_grid_search():
    pipeline = make_pipeline(StandardScaler(), VAE(2, **QUICK), LogisticRegression())
    grid = {"vae__n_components": [1, 2], "vae__likelihood": [Gaussian(), Gaussian(scale=1.0)]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
    assert search.best_params_["vae__n_components"] in (1, 2)
    unsupervised = GridSearchCV(VAE(**QUICK), {"beta": [0.5, 1.0]}, cv=2).fit(X)
    assert np.isfinite(unsupervised.best_score_)


@by_class
def test_dataframes_keep_their_names(cls):
    frame = pd.DataFrame(X, columns=list("abcd"), index=range(100, 250))
    model = cls(3, **QUICK).set_output(transform="pandas").fit(frame, Y)
    codes = model.transform(frame)
    name = cls.__name__.lower()
    assert list(codes.columns) == [f"{name}0", f"{name}1", f"{name}2"] == list(model.get_feature_names_out())
    for back in (model.reconstruct(frame), model.inverse_transform(codes)):
        assert list(back.columns) == list("abcd")
        assert (back.index == frame.index).all()
    if hasattr(model, "sample"):
        assert list(model.sample(2, random_state=0).columns) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.rename(columns={"a": "z"}))


NAMES = {
    "numbers": [1960, 1970, 1980, 1990],
    "levels": pd.MultiIndex.from_product([["a", "b"], [1, 2]]),
    "dates": pd.date_range("2020-01-01", periods=4),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES.keys())
def test_columns_of_any_name_come_back(names, tmp_path):
    frame = pd.DataFrame(np.where(np.arange(4) == np.arange(150)[:, None] % 4, np.nan, X), columns=names)
    model = VAE(**QUICK).fit(frame)
    for back in (
        model.impute(frame),
        model.reconstruct(frame),
        model.sample(2),
        model.inverse_transform(pd.DataFrame(model.transform(frame))),
    ):
        assert list(back.columns) == list(frame.columns)
    model.save(tmp_path / "m.safetensors")
    columns = list(load(tmp_path / "m.safetensors").sample(2).columns)
    assert columns == (list(map(str, names)) if isinstance(names, pd.DatetimeIndex) else list(frame.columns))
    frame.iloc[3, 2] = np.inf
    with pytest.raises(ValueError, match=re.escape(f"row 3, column {frame.columns[2]!r}")):
        model.transform(frame)
    assert not isinstance(VAE(**QUICK).fit(frame.iloc[4:]).fit(X).sample(2), pd.DataFrame), "forgotten by the next fit"


@by_class
def test_partial_fit_and_warm_start(cls):
    model = cls(**QUICK)
    for _ in range(3):
        model.partial_fit(X, Y)
    assert model.n_iter_ == len(model.history_) == 3
    assert model.history_[2]["loss"] < model.history_[0]["loss"]
    again = pickle.loads(pickle.dumps(model))
    assert (again.partial_fit(X, Y).transform(X) == model.partial_fit(X, Y).transform(X)).all(), "Adam's moments go on"
    warm = cls(**QUICK, warm_start=True).fit(X, Y)
    first = warm.history_[-1]["loss"]
    assert warm.fit(X, Y).n_iter_ == 4
    assert warm.history_[-1]["loss"] < first
    assert cls(**QUICK).fit(X, Y).fit(X, Y).n_iter_ == 2


def test_an_endless_stream_keeps_the_last_records():
    model = VAE(2, **QUICK).partial_fit(X)
    model.history_ *= 10_005
    model.partial_fit(X)
    assert (len(model.history_), model.history_[-1]["epoch"], model.n_iter_) == (10_000, 2, 2)


def test_partial_fit_ignores_warmup():
    """The number of calls is unknown, and a rising weight would start at 0 in each of them."""
    model = VAE(2, beta=Warmup(2.0, over=1.0), **QUICK)
    for _ in range(2):
        model.partial_fit(X)
        record = model.history_[-1]
        assert record["loss"] == pytest.approx(record["reconstruction"] + 2 * record["kl"], rel=1e-5)


def test_callbacks_early_stopping_and_verbose(capsys):
    seen = []
    model = VAE(
        max_epochs=50,
        random_state=0,
        trainer=Trainer(callbacks=[lambda record: seen.append(record) or len(seen) == 3]),
        verbose=1,
    )
    model.fit(X)
    assert model.n_iter_ == 3
    assert seen == model.history_
    assert "VAE: epoch 3/50" in capsys.readouterr().err
    stopped = VAE(max_epochs=400, early_stopping=EarlyStopping(n_iter_no_change=3), random_state=0).fit(X)
    assert stopped.n_iter_ < 400
    losses = [record["validation_loss"] for record in stopped.history_]
    assert min(losses) == losses[-4], "training goes on for n_iter_no_change epochs after the best one"


def test_dtypes():
    for dtype in (np.float32, np.float64):
        model = VAE(**QUICK).fit(X.astype(dtype))
        assert model.transform(X.astype(dtype)).dtype == dtype
        assert model.reconstruct(X.astype(dtype)).dtype == dtype
    digits = load_digits().data.astype(np.uint8)
    assert Autoencoder(**QUICK).fit(digits).transform(digits).dtype == np.float32
    tensor = torch.from_numpy(X)
    assert (VAE(**QUICK).fit(tensor).transform(tensor) == VAE(**QUICK).fit(X).transform(X)).all()


def test_precisions_agree(any_processor):
    scores = {
        p: VAE(2, max_epochs=30, random_state=0, trainer=Trainer(precision=p)).fit(X).score(X)
        for p in ("float32", "float64", "bf16")
    }
    assert abs(scores["float32"] - scores["float64"]) < 0.1
    assert abs(scores["bf16"] - scores["float64"]) < 0.5


def test_compile_gives_the_same_bits(tmp_path):
    """A compiled model is also saved and loaded like any other."""
    fields = {"max_epochs": 3, "random_state": 0, "hidden_layer_sizes": (8,)}
    trainers = [Trainer(precision="float64", compile=c) for c in (False, True)]
    plain, compiled = (Autoencoder(2, **fields, trainer=trainer).fit(X) for trainer in trainers)
    for a, b in zip(plain.history_, compiled.history_, strict=True):
        assert a["loss"] == b["loss"]
    compiled.save(tmp_path / "m.safetensors")
    assert (load(tmp_path / "m.safetensors").transform(X) == compiled.transform(X)).all()


@pytest.mark.parametrize(
    "cls",
    [cls if cls is VAE else pytest.param(cls, marks=pytest.mark.slow) for cls in ESTIMATORS],
    ids=lambda cls: cls.__name__,
)
def test_defaults_beat_pca_on_digits(cls):
    """Held-out reconstruction with as many active units; the conditional model does not get the digit."""
    train, test, y_train, _ = train_test_split(*load_digits(return_X_y=True), train_size=300, random_state=0)
    model = cls(4, random_state=0, **({"n_draws": 10} if hasattr(cls, "n_draws") else {})).fit(train, y_train)
    n_active = round((model.transform(test) != 0).sum(1).mean())  # fewer than k in the sparse one
    pca = PCA(n_active).fit(train)
    error = ((test - pca.inverse_transform(pca.transform(test))) ** 2).mean()
    assert ((test - model.reconstruct(test.astype(np.float32))) ** 2).mean() < error


@pytest.mark.parametrize("bundled", BUNDLED, ids=lambda bundled: bundled.__name__)
@by_class
def test_defaults_are_finite_on_every_bundled_set(cls, bundled):
    """Unscaled columns, from .01 to 1,000, with the default fields (and fewer epochs)."""
    X, y = bundled(return_X_y=True)
    X, y = X[:150], (y if y.ndim == 1 else y[:, 0])[:150]
    draws = {"n_draws": 5} if hasattr(cls, "n_draws") else {}
    model = cls(max_epochs=3, random_state=0, **draws).fit(X, y)
    some = slice(None, None, max(7, len(X) // 50))
    given = (X[some], y[some]) if cls is ConditionalVAE else (X[some],)
    for name in ("transform", "reconstruct", "feature_errors", "score_samples"):
        if hasattr(model, name):
            assert np.isfinite(getattr(model, name)(*given)).all(), name
    assert all(np.isfinite(list(record.values())).all() for record in model.history_)


def test_conditional_samples_and_predictions():
    digits, labels = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(digits, labels, train_size=1000, random_state=0)
    model = ConditionalVAE(8, max_epochs=12, n_draws=20, random_state=0).fit(train, y_train)
    judge = LogisticRegression(max_iter=3000).fit(train / 16, y_train)
    asked = np.repeat(np.arange(10), 30)
    assert (judge.predict(model.sample(300, y=asked, random_state=0) / 16) == asked).mean() > 0.85
    assert (model.predict(test[:100]) == y_test[:100]).mean() > 0.9
    proba = model.predict_proba(test[:50])
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    joint = np.stack([model.score_samples(test[:50], [k] * 50) for k in range(10)], 1) + np.log(
        np.bincount(y_train) / len(y_train)
    )
    np.testing.assert_allclose(model.score_samples(test[:50]), np.log(np.exp(joint - joint.max()).sum(1)) + joint.max())


def test_class_frequencies_are_weighted():
    """A weight of 3 counts as three samples, in p(y) as in the loss."""
    weight = np.where(Y == 0, 3.0, 1.0)
    model = ConditionalVAE(n_draws=5, **QUICK).fit(X, Y, sample_weight=weight)
    joint = np.stack([model.score_samples(X, [k] * 150) for k in range(3)], 1) + np.log([0.6, 0.2, 0.2])
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, 1))


def test_partial_fit_with_classes():
    model = ConditionalVAE(n_draws=5, **QUICK)
    model.partial_fit(X[:50], Y[:50], classes=[2, 1, 0])
    model.partial_fit(X[50:], Y[50:])
    assert model.classes_.tolist() == [0, 1, 2]
    joint = np.stack([model.score_samples(X, [k] * 150) for k in range(3)], 1) + np.log([1 / 3] * 3)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, 1))


def test_later_classes_are_those_of_the_first_call():
    model = ConditionalVAE(n_draws=5, **QUICK).partial_fit(X[:100], Y[:100], classes=[0, 1])
    model.partial_fit(X[:50], Y[:50], classes=[1, 0, 0])
    with pytest.raises(ValueError, match="classes=0, 1, 2 are not those of the first call, 0, 1"):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    model = ConditionalVAE(**QUICK).partial_fit(X, X[:, 0])
    with pytest.raises(ValueError, match="y was continuous in the first call"):
        model.partial_fit(X, X[:, 0], classes=[0, 1])


def test_a_refit_with_numbers_forgets_the_labels():
    model = ConditionalVAE(**QUICK).fit(X, Y)
    assert not hasattr(model.fit(X, X[:, 0]), "classes_")


@pytest.mark.parametrize("labels", [Y, Y.astype(str), pd.Series(Y).map(str).astype("category")])
def test_conditional_vae_is_a_classifier(labels):
    """Folds are stratified: iris is sorted by species, so that each third, left out, would be a class never seen."""
    model = ConditionalVAE(2, max_epochs=10, n_draws=10, prior="standard_normal", random_state=0)
    assert is_classifier(model)
    predicted = cross_val_predict(model, X, labels, cv=3)
    assert (predicted == np.asarray(labels)).mean() > 0.9
    assert cross_val_score(model, X, labels, cv=3, scoring="roc_auc_ovr").min() > 0.95


def test_numbers_as_conditions_need_no_classes():
    scores = cross_val_score(ConditionalVAE(2, **QUICK), X[:, :2], X[:, 2], cv=3)
    assert np.isfinite(scores).all()


def test_masked_cells_are_missing_cells():
    holes = np.random.default_rng(0).random(X.shape) < 0.2
    missing = np.where(holes, np.nan, X)
    model = VAE(**QUICK).fit(missing)
    masked = VAE(**QUICK).fit(np.ma.array(np.where(holes, 1e20, X), mask=holes))
    assert (masked.transform(np.ma.array(X, mask=holes)) == model.transform(missing)).all()
    whole = np.round(X * 10).astype(np.int16)
    filled = VAE(**QUICK).fit(np.ma.array(whole, mask=holes)).impute(np.ma.array(whole, mask=holes))
    assert np.isfinite(filled).all()
    assert (filled == whole)[~holes].all()


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_columns_of_objects_with_missing_cells(missing):
    frame = pd.DataFrame({"n": [1, missing, 3] * 20, "x": np.arange(60.0)}, dtype=object)
    plain = frame["n"].isna().to_numpy()
    for data in (frame, frame.to_numpy()):
        filled = np.asarray(VAE(**QUICK).fit(data).impute(data), dtype=float)
        assert np.isfinite(filled).all()
        assert set(filled[~plain, 0]) == {1.0, 3.0}


@pytest.mark.parametrize(
    "tensor",
    [torch.from_numpy(X).requires_grad_(), torch.from_numpy(X).to_sparse(), torch.from_numpy(X).bfloat16()],
    ids=["requires_grad", "sparse", "bfloat16"],
)
def test_tensors_of_any_kind(tensor):
    assert VAE(2, **QUICK).fit(tensor).transform(tensor).shape == (150, 2)
    assert ConditionalVAE(**QUICK).fit(X, torch.from_numpy(Y)).classes_.tolist() == [0, 1, 2]


def test_constant_features(tmp_path):
    """They are sampled and imputed as constants, and a sample that breaks one is an outlier, with a finite score."""
    data = np.column_stack([X, np.full(150, 0.1)])
    model = VAE(2, max_epochs=10, random_state=0).fit(data)
    holes, broken = data.copy(), data.copy()
    holes[::3, 4], broken[0, 4] = np.nan, 1.1
    model.save(tmp_path / "m.safetensors")
    for fitted in (model, load(tmp_path / "m.safetensors")):
        for values in (fitted.sample(99, random_state=0), fitted.impute(holes), fitted.reconstruct(holes)):
            assert (values[:, 4] == 0.1).all()
        scores = fitted.score_samples(broken)
        assert scores.argmin() == 0
        assert -50 < scores[0] - fitted.score_samples(data)[0] < -20
        assert fitted.feature_errors(broken)[0].argmax() == 4
        assert fitted.elbo(broken).elbo.argmin() == 0


def test_features_that_vary_later_are_not_constant():
    data = np.column_stack([X, np.repeat([0.0, 1.0], 75)])
    model = VAE(2, **QUICK).partial_fit(data[:75])
    assert np.ptp(model.sample(99, random_state=0)[:, 4]) == 0
    assert np.ptp(model.partial_fit(data).sample(99, random_state=0)[:, 4]) > 0
    binary = Autoencoder(2, likelihood="bernoulli", scaling="none", **QUICK).fit(np.zeros((9, 2)))
    assert (binary.reconstruct(np.zeros((9, 2))) > 0).all(), "probabilities are no constants"


def test_a_constant_that_later_data_do_not_show_stays_constant():
    data = np.column_stack([X, np.full(150, 2.0)])
    model = VAE(2, **QUICK).partial_fit(data)
    data[:, 4] = np.nan
    assert np.ptp(model.partial_fit(data).sample(99, random_state=0)[:, 4]) == 0


def test_unknown_parts_are_errors_before_data_are_read():
    for fields in ({"penalties": ["l3"]}, {"objective": "elbow"}, {"corruption": "smog"}):
        model = VAE(2, **QUICK, **fields)
        with pytest.raises(ValueError, match="unknown"):
            model.fit("no such file.csv")
        assert not hasattr(model, "model_")


def test_fitted_models_keep_their_number_of_components():
    model = VAE(2, **QUICK).fit(X)
    log_p, codes = model.score_samples(X), model.transform(X)
    model.set_params(n_components=3)
    np.testing.assert_array_equal(model.score_samples(X), log_p)
    assert model.inverse_transform(codes).shape == X.shape
    assert model.sample_latent(X, 4, random_state=0).shape == (4, 150, 2)


def test_draws_of_the_posterior_lie_about_the_code_where_cells_are_missing():
    """Also if the encoder was trained on complete data: it then sees imputed cells."""
    model = VAE(2, max_epochs=20, random_state=0).fit(X)
    holes = X.copy()
    holes[::2, 2] = np.nan
    draws = model.sample_latent(holes, 4000, random_state=0)
    error = draws.std(axis=0) / 4000**0.5
    assert (np.abs(draws.mean(axis=0) - model.transform(holes)) < 6 * error).all()


def test_penalties_can_be_combined():
    model = VAE(2, corruption="masking", penalties=[L1(0.1), "contraction", KL(0.5)], **QUICK).fit(X)
    assert {"reconstruction", "kl", "l1", "contraction", "kl_2"} <= set(model.history_[0])
    record = model.history_[-1]
    parts = record["reconstruction"] + record["kl"] + 0.1 * record["l1"] + record["contraction"] + 0.5 * record["kl_2"]
    assert record["loss"] == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize(
    ("given", "drawn"), [("float64", "float64"), ("float32", "float32"), ("uint8", "float32"), ("int64", "float64")]
)
def test_samples_have_the_type_of_the_training_data(given, drawn, tmp_path):
    model = VAE(2, hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(load_digits().data[:50].astype(given))
    path = tmp_path / "m.safetensors"
    model.save(path)
    for fitted in (model, load(path)):
        assert fitted.sample(3, random_state=0).dtype == drawn
