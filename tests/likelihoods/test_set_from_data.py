"""Parameters of likelihoods that come from the data, and bounds of learned ones."""

import numpy as np
import pytest
import torch

from isthmus.likelihoods import Categorical, Gaussian, Mixed, Poisson, StudentT


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


def test_a_count_that_no_weighted_sample_observes_has_finite_inputs():
    p = Poisson()
    p.set_from_data(torch.tensor([[1.0, torch.nan], [3.0, torch.nan], [2.0, 5.0]]), torch.tensor([1.0, 1.0, 0.0]))
    p.build(2)
    assert p.encoder_input(torch.tensor([[1.0, 5.0]])).isfinite().all()


@pytest.mark.parametrize("value", [torch.inf, True, 0, -1.0, "wide"])
def test_scales_are_finite_positive_numbers(value):
    p = Gaussian(scale=value)
    with pytest.raises(ValueError, match="scale must be a positive number"):
        p.build(2)


def test_numbers_of_numpy_are_numbers():
    Gaussian(scale=np.float32(0.5)).build(2)
    StudentT(df=np.int64(3)).build(2)


def test_a_mixed_likelihood_knows_before_it_is_built_whether_it_transforms_inputs():
    assert Mixed(("gaussian", "poisson"), columns=((0,), (1,))).transforms_input
    assert not Mixed(("gaussian", "bernoulli"), columns=((0,), (1,))).transforms_input
