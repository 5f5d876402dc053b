"""Penalties: hyperparameters that would otherwise fail late, or not at all; names and weights of terms."""

import pytest
import torch

from isthmus import Autoencoder
from isthmus._batch import Batch
from isthmus.corruptions import NoCorruption
from isthmus.objectives import PenalizedLikelihood, TrainingLoss
from isthmus.penalties import L1, Contraction, KLSparsity, Warmup
from isthmus.posteriors import Point
from models import build, normal


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


def test_penalties_of_one_kind_are_numbered_and_weighted_as_at_the_end_of_training():
    model = build(4, 3, posterior=Point())
    penalties = [L1(Warmup(2.0)), L1(3.0)]
    formula = TrainingLoss(model, PenalizedLikelihood(), NoCorruption(), penalties)
    batch = Batch(normal(6, 4), torch.ones(6).double())
    assert formula(batch).weights == {"reconstruction": 1.0, "l1": 2.0, "l1_2": 3.0}
    assert formula(batch, formula.weights(0.0)).weights == {"reconstruction": 1.0, "l1": 0.0, "l1_2": 3.0}
