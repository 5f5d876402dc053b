"""Parameters of likelihoods that come from the data, and bounds of learned ones."""

import pytest
import torch

from isthmus.likelihoods import Categorical, Gaussian


def test_categorical_sets_its_levels_from_data():
    p = Categorical()
    p.set_from_data(torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]]))
    assert p.n_levels == (2, 3, 2)


@pytest.mark.parametrize("scale", ["shared", "feature"])
def test_learned_sigma_has_a_lower_bound(scale):
    p = Gaussian(scale, min_scale=0.1)
    p.build(2)
    with torch.no_grad():
        p.raw_log_scale.fill_(-100.0)
    assert p(torch.zeros(2)).scale.tolist() == pytest.approx([0.1, 0.1], rel=1e-5)
