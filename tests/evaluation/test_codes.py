"""Quality of codes, compared with scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness as reference
from sklearn.neighbors import KNeighborsClassifier

from isthmus.evaluation import neighbour_accuracy, trustworthiness

X, Y = (values[:400] for values in load_digits(return_X_y=True))
X = X + 1e-3 * np.random.default_rng(0).random(X.shape)  # no ties, whose order is anyone's


@pytest.mark.parametrize("k", [1, 5, 30])
@pytest.mark.parametrize("n_components", [1, 2, 8])
def test_trustworthiness_equals_scikit_learn(k, n_components):
    Z = PCA(n_components, random_state=0).fit_transform(X)
    assert trustworthiness(X, Z, k) == pytest.approx(reference(X, Z, n_neighbors=k), rel=1e-12)


def test_trustworthiness_of_the_samples_themselves_is_one():
    assert trustworthiness(X, X) == 1.0
    random = np.random.default_rng(0).normal(size=(400, 2))
    assert trustworthiness(X, random) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("k", [1, 4, 5])
def test_neighbour_accuracy_equals_scikit_learn(k):
    Z = PCA(4, random_state=0).fit_transform(X)
    expected = KNeighborsClassifier(k).fit(Z[:300], Y[:300]).score(Z[300:], Y[300:])
    assert neighbour_accuracy(Z[:300], Y[:300], Z[300:], Y[300:], k) == expected
    names = np.array([f"digit {y}" for y in Y])
    assert neighbour_accuracy(Z[:300], names[:300], Z[300:], names[300:], k) == expected


def test_a_label_without_training_codes_is_never_predicted():
    assert neighbour_accuracy([[0.0]], ["a"], [[0.0], [0.0]], ["a", "b"], 1) == 0.5


def test_bad_input():
    with pytest.raises(ValueError, match="X has 400 samples and Z has 399"):
        trustworthiness(X, X[1:])
    for k in (0, 200):
        with pytest.raises(ValueError, match=f"k={k} must be at least 1 and less than half"):
            trustworthiness(X, X, k)
    with pytest.raises(ValueError, match="one label for each code"):
        neighbour_accuracy(X, Y[1:], X, Y)
    with pytest.raises(ValueError, match="one label for each code"):
        neighbour_accuracy(X, Y, X, Y[1:])
    with pytest.raises(ValueError, match="k=0 must be at least 1"):
        neighbour_accuracy(X, Y, X, Y, 0)
    with pytest.raises(ValueError, match=r"train has 3 sample\(s\), and at least 5"):
        neighbour_accuracy(X[:3], Y[:3], X, Y)
