"""The conventions of scikit-learn, by its own checks."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from isthmus import (
    VAE,
    Autoencoder,
    ConditionalVAE,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
)
from isthmus.networks import MLP
from isthmus.training import Trainer

FLOAT64 = Trainer(precision="float64")
ESTIMATORS = [
    Autoencoder(max_epochs=5),
    Autoencoder(2, network=MLP(skip=False), max_epochs=5, batch_size=128, trainer=FLOAT64),
    SparseAutoencoder(4, max_epochs=5, trainer=FLOAT64),
    DenoisingAutoencoder(4, max_epochs=5),
    ContractiveAutoencoder(4, max_epochs=5),
    # One layer: the penalty is exact, and draws nothing.
    ContractiveAutoencoder(
        4, hidden_layer_sizes=(), network=MLP(skip=False), max_epochs=5, batch_size=128, trainer=FLOAT64
    ),
    VAE(max_epochs=5),
    ConditionalVAE(max_epochs=5, n_draws=5),
]

# As for scikit-learn's own SGD estimators: a row that counts twice is not the same row twice where rows are drawn in
# mini-batches, each with its own noise. The check's data fit one batch, so without noise it passes in float64;
# test_sample_weight shows the same for the objectives that draw.
WEIGHTS = "check_sample_weight_equivalence_on_dense_data"


# ConditionalVAE is a classifier if y is labels, but y may also be numbers, in any number of columns.
CONDITIONS = {
    "check_classifiers_regression_target": "y may be numbers to condition on",
    "check_supervised_y_2d": "y may be a table, of one column too",
}


def excused(estimator):
    weights = {} if estimator.trainer == FLOAT64 else {WEIGHTS: "batches, noise and rounding differ"}
    return weights | (CONDITIONS if isinstance(estimator, ConditionalVAE) else {})


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=excused)
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([VAE()], expected_failed_checks=excused)
def test_sklearn_check_of_defaults(estimator, check):
    """Each fit of the default takes hundreds of steps, twice."""
    check(estimator)
