"""Categories as the encoder's inputs: one for each level, 0 where a cell is missing, beside features with one input."""

import numpy as np
import pytest
import torch

from isthmus import VAE
from isthmus.likelihoods import Categorical, Mixed
from isthmus.model import Model
from isthmus.networks import MLP, Conv
from isthmus.posteriors import DiagonalNormal
from isthmus.priors import StandardNormal, VampPrior
from isthmus.scaling import NoScaling


def built(likelihood, n_features, *, masked=False, prior=None):
    model = Model(
        network=MLP((8,)),
        posterior=DiagonalNormal(),
        likelihood=likelihood,
        prior=prior or StandardNormal(),
        scaling=NoScaling(),
    )
    model.build(n_features, 2, masked=masked)
    return model


def test_each_level_is_an_input():
    p = Categorical(n_levels=(2, 3))
    p.build(2)
    inputs = p.encoder_input(torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.5, 1.25]]))
    expected = [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1], [0.5, 0.5, 0, 0.75, 0.25]]
    torch.testing.assert_close(inputs, torch.tensor(expected))
    assert p.input_columns().tolist() == [0, 0, 1, 1, 1]


def test_columns_with_one_input_stand_beside_them():
    p = Mixed.by_column([Categorical(n_levels=(3,)), "gaussian", Categorical(n_levels=(2,))])
    p.build(3)
    inputs = p.encoder_input(torch.tensor([[2.0, 7.0, 1.0]]))
    assert p.n_inputs == inputs.shape[-1] == 6
    for column, expected in ((0, [0, 0, 1]), (1, [7]), (2, [0, 1])):
        assert inputs[0, p.input_columns() == column].tolist() == expected


def test_features_with_one_input_each_keep_their_order():
    p = Mixed.by_column(["gaussian", "bernoulli", "gaussian"])
    p.build(3)
    assert p.input_columns().tolist() == [0, 1, 2]


@pytest.mark.parametrize("masked", [False, True])
def test_all_inputs_of_a_missing_cell_are_0(masked):
    model = built(Mixed.by_column(["gaussian", Categorical(n_levels=(3,)), "bernoulli"]), 3, masked=masked)
    x, mask = torch.tensor([[0.3, 2.0, 1.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    seen = []
    model.network.encode = lambda inputs, c, mask: seen.append(inputs) or torch.zeros(1, 4)
    model.q(x, None, mask)
    model.q(x)
    hidden, shown = seen
    assert hidden[0, model.likelihood.input_columns() == 1].tolist() == [0, 0, 0]
    others = model.likelihood.input_columns() != 1
    assert torch.equal(hidden[0, others], shown[0, others])
    assert shown[0, ~others].tolist() == [0, 0, 1]


def test_a_cell_that_is_not_seen_has_no_influence():
    model = built(Mixed.by_column([Categorical(n_levels=(4,)), "gaussian"]), 2, masked=True)
    mask = torch.tensor([[0.0, 1.0]])
    first, second = (model.q(torch.tensor([[level, 0.5]]), None, mask).mean for level in (0.0, 3.0))
    torch.testing.assert_close(first, second)


def test_training_starts_from_the_frequencies():
    x = torch.tensor([[0.0, 2.0]] * 90 + [[1.0, 0.0]] * 9 + [[1.0, torch.nan]])
    p = Categorical()
    p.set_from_data(x)
    p.build(2)
    probabilities = p(p.initial_output(torch.zeros(2))).probs
    torch.testing.assert_close(probabilities[0, :2], torch.tensor([0.9, 0.1]), atol=0.01, rtol=0)
    torch.testing.assert_close(probabilities[1], torch.tensor([9.5, 0.5, 90.5]) / 100.5)
    weighted = Categorical()
    weighted.set_from_data(x, torch.tensor([0.0] * 90 + [1.0] * 10))
    weighted.build(2)
    assert weighted(weighted.initial_output(torch.zeros(2))).probs[0, 1] > 0.95


def test_the_mean_of_ordered_levels_is_their_median():
    p = Categorical(n_levels=(3, 4), ordered=(False, True))
    p.build(2)
    h = torch.tensor([0.4, 0.35, 0.25, 0.35, 0.1, 0.3, 0.25]).log()  # the modes are 0 and 0
    assert p.mean(h).tolist() == [0.0, 2.0]
    h = torch.stack([h, torch.tensor([0.1, 0.8, 0.1, 0.1, 0.7, 0.1, 0.1]).log()])
    assert p.mixture_mean(h, torch.tensor([0.5, 0.5])).tolist() == [1.0, 1.0]


def test_pseudo_inputs_of_categories_have_gradients():
    model = built(Categorical(n_levels=(3, 3)), 2, prior=VampPrior(4))
    model.p_z().log_prob(torch.randn(5, 2)).sum().backward()
    assert model.prior.pseudo_inputs.grad.abs().sum() > 0


def test_a_convolution_has_no_place_for_levels():
    with pytest.raises(ValueError, match="needs one input for each column"):
        VAE(2, likelihood=Categorical(n_levels=(2,) * 4), network=Conv(image_shape=(2, 2))).fit(np.eye(4))
