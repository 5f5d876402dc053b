"""The latent size by held-out log p(x): the right one where it is known, and rivals as scikit-learn has them."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import train_test_split

from isthmus import VAE, Autoencoder, ConditionalVAE, choose_n_components
from isthmus.assessment.model_selection import _mixture, _table
from models import rotation

IRIS, LABELS = load_iris(return_X_y=True)
rng = np.random.default_rng(0)
# Two latent units and noise of one size, so that the linear VAE is the very model.
ROWS = rng.normal(size=(500, 2)) @ (rotation(6)[:, :2] * [3.0, 2.0]).T + 0.5 * rng.normal(size=(500, 6))
LINEAR = {"hidden_layer_sizes": (), "learning_rate": 0.03, "random_state": 0}
QUICK = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def choice():
    return choose_n_components(VAE(**LINEAR, max_epochs=60), ROWS, sizes=(4, 1, 2, 2), random_state=0, n_draws=200)


def split():
    return train_test_split(ROWS, test_size=0.2, random_state=0)


def test_the_known_rank_is_chosen(choice):
    assert (choice.best, choice.best_estimator.n_components) == (2, 2)
    assert [row.n_components for row in choice.table] == [1, 2, 4]
    assert choice.table[0].below_best > 5 * choice.table[0].below_best_error
    assert (choice.n_train, choice.n_test) == (400, 100)


def test_a_linear_vae_comes_near_to_probabilistic_pca(choice):
    pca = next(row for row in choice.baselines if (row.name, row.n_components) == ("PCA", 2))
    assert choice.table[1].log_px == pytest.approx(pca.log_px, abs=0.05)
    assert choice.table[1].standard_error == pytest.approx(pca.standard_error, rel=0.1)


def test_the_numbers_are_those_of_the_estimator(choice):
    _, test = split()
    values = choice.best_estimator.score_samples_estimate(test, n_draws=200).value
    assert choice.table[1].log_px == pytest.approx(values.mean())
    assert choice.table[1].standard_error == pytest.approx(values.std(ddof=1) / 10)


def test_rivals_see_the_same_rows(choice):
    train, test = split()
    for cls in (PCA, FactorAnalysis):
        for k in (1, 2, 4):
            row = next(r for r in choice.baselines if (r.name, r.n_components) == (cls.__name__, k))
            assert row.log_px == pytest.approx(cls(k, random_state=0).fit(train).score(test))
    mixture = choice.baselines[-1]
    assert mixture.name == "GaussianMixture"
    assert mixture.log_px == pytest.approx(_mixture(train, 0).score(test))
    assert mixture.n_components == 1  # the rows are of one normal


def test_the_mixture_finds_clusters():
    rows = np.concatenate([rng.normal(size=(100, 2)) + shift for shift in (-20, 0, 20, 40)])
    assert _mixture(rng.permutation(rows), 0).n_components == 4


def test_the_smallest_within_one_standard_error():
    base = np.zeros(100)
    noise = np.tile([-1.0, 1.0], 50)
    near = base - 0.05 + noise  # .05 below, standard error of the difference .1005
    far = base - 0.11 + noise
    best, table = _table([1, 2, 3, 4], np.stack([far, near, base, base - 5]), [(0, 0.0)] * 4)
    assert best == 1
    assert [row.below_best for row in table] == pytest.approx([0.11, 0.05, 0, 5])
    assert table[1].below_best_error == pytest.approx(noise.std(ddof=1) / 10)
    assert table[3].below_best_error == 0


@pytest.mark.filterwarnings("ignore:log p.x. is unreliable")
@pytest.mark.parametrize("y", [LABELS, IRIS[:, 3] + 0.01])
def test_conditions(y):
    choice = choose_n_components(
        ConditionalVAE(**QUICK), IRIS[:, :3], y, sizes=(2,), test_size=0.3, random_state=1, n_draws=50
    )
    train, test, _, y_test = train_test_split(IRIS[:, :3], y, test_size=0.3, random_state=1)
    labels = y is LABELS  # log p(x), which compares; given numbers it is log p(x|y), which does not
    values = choice.best_estimator.score_samples_estimate(test, None if labels else y_test, n_draws=50).value
    assert choice.table[0].log_px == pytest.approx(values.mean())
    assert bool(choice.baselines) is labels
    assert choice.n_train == len(train)


def test_what_is_no_density_has_no_rivals():
    zeros_and_ones = (IRIS.mean(axis=0) < IRIS).astype(float)
    choice = choose_n_components(VAE(**QUICK, likelihood="bernoulli"), zeros_and_ones, sizes=(1,), n_draws=50)
    assert choice.baselines == []
    holes = IRIS.copy()
    holes[::7, 1] = np.nan
    assert choose_n_components(VAE(**QUICK), holes, sizes=(1,), n_draws=50).baselines == []


def test_the_estimator_stays_as_it_was():
    estimator = VAE(3, **QUICK)
    choose_n_components(estimator, IRIS, sizes=(1,), n_draws=50)
    assert estimator.n_components == 3
    assert not hasattr(estimator, "model_")


def test_a_model_without_likelihood_is_refused():
    with pytest.raises(ValueError, match=r"Autoencoder has no p\(x\).*use VAE or ConditionalVAE"):
        choose_n_components(Autoencoder(), IRIS)


@pytest.mark.parametrize("sizes", [(), (0, 2), (2.5,), (True,)])
def test_sizes_must_be_whole_numbers(sizes):
    with pytest.raises(ValueError, match="must be whole numbers of at least 1"):
        choose_n_components(VAE(), IRIS, sizes=sizes)
