"""Selection of the latent size: the right one where it is known, with baselines that agree with scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import train_test_split

from isthmus import VAE, Autoencoder, ConditionalVAE, choose_n_components
from isthmus.assessment.model_selection import _select, fit_mixture
from models import rotation

IRIS, LABELS = load_iris(return_X_y=True)
rng = np.random.default_rng(0)
# Two latent units and noise of one size, so that the linear VAE is the very model.
ROWS = rng.normal(size=(500, 2)) @ (rotation(6)[:, :2] * [3.0, 2.0]).T + 0.5 * rng.normal(size=(500, 6))
LINEAR = {"hidden_layer_sizes": (), "learning_rate": 0.03, "random_state": 0}
QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def selection():
    return choose_n_components(VAE(**LINEAR, max_epochs=60), ROWS, sizes=(4, 1, 2, 2), random_state=0, n_draws=200)


def split():
    return train_test_split(ROWS, test_size=0.2, random_state=0)


def test_selects_the_known_rank(selection):
    assert (selection.n_components, selection.estimator.n_components) == (2, 2)
    assert [row.n_components for row in selection.sizes] == [1, 2, 4]
    assert selection.sizes[0].below_best > 5 * selection.sizes[0].below_best_error
    assert (selection.n_train, selection.n_test) == (400, 100)


def test_a_linear_vae_reaches_probabilistic_pca(selection):
    pca = next(row for row in selection.baselines if (row.name, row.n_components) == ("PCA", 2))
    assert selection.sizes[1].log_px == pytest.approx(pca.log_px, abs=0.05)
    assert selection.sizes[1].standard_error == pytest.approx(pca.standard_error, rel=0.1)


def test_results_agree_with_the_estimator(selection):
    _, test = split()
    values = selection.estimator.score_samples_estimate(test, n_draws=200).value
    assert selection.sizes[1].log_px == pytest.approx(values.mean())
    assert selection.sizes[1].standard_error == pytest.approx(values.std(ddof=1) / 10)


def test_baselines_use_the_same_split(selection):
    train, test = split()
    for cls in (PCA, FactorAnalysis):
        for k in (1, 2, 4):
            row = next(r for r in selection.baselines if (r.name, r.n_components) == (cls.__name__, k))
            assert row.log_px == pytest.approx(cls(k, random_state=0).fit(train).score(test))
    mixture = selection.baselines[-1]
    assert mixture.name == "GaussianMixture"
    assert mixture.log_px == pytest.approx(fit_mixture(train, 0).score(test))
    assert mixture.n_components == 1  # the rows are of one normal


def test_the_mixture_finds_clusters():
    rows = np.concatenate([rng.normal(size=(100, 2)) + shift for shift in (-20, 0, 20, 40)])
    assert fit_mixture(rng.permutation(rows), 0).n_components == 4


def test_selects_the_smallest_within_one_standard_error():
    base = np.zeros(100)
    noise = np.tile([-1.0, 1.0], 50)
    near = base - 0.05 + noise  # .05 below, standard error of the difference .1005
    far = base - 0.11 + noise
    best, table = _select([1, 2, 3, 4], np.stack([far, near, base, base - 5]), [(0, 0.0)] * 4)
    assert best == 1
    assert [row.below_best for row in table] == pytest.approx([0.11, 0.05, 0, 5])
    assert table[1].below_best_error == pytest.approx(noise.std(ddof=1) / 10)
    assert table[3].below_best_error == 0


@pytest.mark.filterwarnings("ignore:log p.x. is unreliable")
@pytest.mark.parametrize("y", [LABELS, IRIS[:, 3] + 0.01])
def test_conditions(y):
    selection = choose_n_components(
        ConditionalVAE(**QUICK), IRIS[:, :3], y, sizes=(2,), test_size=0.3, random_state=1, n_draws=50
    )
    train, test, _, y_test = train_test_split(IRIS[:, :3], y, test_size=0.3, random_state=1)
    labels = y is LABELS  # log p(x), which compares; given numbers it is log p(x|y), which does not
    values = selection.estimator.score_samples_estimate(test, None if labels else y_test, n_draws=50).value
    assert selection.sizes[0].log_px == pytest.approx(values.mean())
    assert bool(selection.baselines) is labels
    assert selection.n_train == len(train)


def test_no_baselines_without_a_density_or_with_missing_cells():
    zeros_and_ones = (IRIS.mean(axis=0) < IRIS).astype(float)
    selection = choose_n_components(VAE(**QUICK, likelihood="bernoulli"), zeros_and_ones, sizes=(1,), n_draws=50)
    assert selection.baselines == []
    holes = IRIS.copy()
    holes[::7, 1] = np.nan
    assert choose_n_components(VAE(**QUICK), holes, sizes=(1,), n_draws=50).baselines == []


def test_the_estimator_is_not_modified():
    estimator = VAE(3, **QUICK)
    choose_n_components(estimator, IRIS, sizes=(1,), n_draws=50)
    assert estimator.n_components == 3
    assert not hasattr(estimator, "model_")


def test_a_model_without_density_is_an_error():
    with pytest.raises(ValueError, match=r"Autoencoder has no density p\(x\).*use VAE or ConditionalVAE"):
        choose_n_components(Autoencoder(), IRIS)


@pytest.mark.parametrize("sizes", [(), (0, 2), (2.5,), (True,)])
def test_sizes_must_be_positive_integers(sizes):
    with pytest.raises(ValueError, match="must be positive integers"):
        choose_n_components(VAE(), IRIS, sizes=sizes)
