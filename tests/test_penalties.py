"""Penalties: hyperparameters that would otherwise fail late, or not at all."""

import pytest

from isthmus import Autoencoder
from isthmus.penalties import Contraction, KLSparsity
from models import normal


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (KLSparsity(rho=0.0), r"KLSparsity\(rho=0.0\): rho must lie strictly between 0 and 1"),
        (KLSparsity(rho=1.0), "rho must lie strictly between 0 and 1"),
        (Contraction(method="projection", n_projections=0), "n_projections must be at least 1"),
    ],
)
def test_invalid_hyperparameters_are_errors(penalty, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(2, code_activation="sigmoid", penalties=[penalty], max_epochs=1).fit(normal(20, 3))
