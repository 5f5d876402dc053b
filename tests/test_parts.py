"""Every part passes the checks of `isthmus.testing`, with the rows of `cases`."""

import numpy as np
import pytest
import torch

from cases import (
    CORRUPTIONS,
    LIKELIHOODS,
    NETWORKS,
    OBJECTIVES,
    PENALTIES,
    POSTERIORS,
    PRIORS,
    REFUSED,
    ROWS,
    SCALINGS,
)
from isthmus import testing
from isthmus._part import Part, UnknownNameError, find_parts, resolve
from isthmus.corruptions import GaussianNoise, Masking
from isthmus.likelihoods import Bernoulli, ContinuousBernoulli, Gaussian, Likelihood
from isthmus.networks import MLP, Network
from isthmus.penalties import Warmup
from isthmus.posteriors import DiagonalNormal, Point
from models import build


@pytest.mark.parametrize("module", ROWS)
def test_every_part_has_a_row(module):
    assert set(find_parts(module).values()) == {type(part) for part in ROWS[module]}


@pytest.mark.parametrize("case", LIKELIHOODS, ids=lambda case: repr(case.part))
def test_likelihood(case):
    testing.check_likelihood(
        case.part, case.n_features, support=case.support, log_prob=case.log_prob, mean_is_mode=case.mean_is_mode
    )


@pytest.mark.parametrize("part", POSTERIORS, ids=repr)
def test_posterior(part):
    testing.check_posterior(part)


@pytest.mark.parametrize(("part", "n_conditions"), PRIORS, ids=repr)
def test_prior(part, n_conditions):
    testing.check_prior(part, n_conditions=n_conditions)


@pytest.mark.parametrize("part", CORRUPTIONS, ids=repr)
def test_corruption(part):
    testing.check_corruption(part)


@pytest.mark.parametrize("part", SCALINGS, ids=repr)
def test_scaling(part):
    testing.check_scaling(part)


@pytest.mark.parametrize(("part", "sizes"), NETWORKS, ids=repr)
def test_network(part, sizes):
    testing.check_network(part, sizes)


@pytest.mark.parametrize(("part", "posterior"), PENALTIES, ids=repr)
@pytest.mark.parametrize("network", [MLP(()), MLP((5,), activation="tanh")], ids=repr)
def test_penalty(part, posterior, network):
    testing.check_penalty(part, build(posterior=posterior, network=network))


@pytest.mark.parametrize("part", OBJECTIVES, ids=repr)
def test_objective(part):
    testing.check_objective(part, build())


def test_warmup():
    testing.check_part(Warmup(2.0, over=0.4))
    assert [Warmup(2.0, over=0.4).weight_at(t) for t in (0.0, 0.1, 0.4, 1.0)] == [0.0, 0.5, 2.0, 2.0]
    assert Warmup(2.0, over=0.0).weight_at(0.0) == 2.0


@pytest.mark.parametrize(("use", "message"), REFUSED)
def test_invalid_parameters_are_errors(use, message):
    with pytest.raises(ValueError, match=message):
        use()


# ---- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ROWS)
def test_names_resolve_to_new_parts(module):
    for name, cls in find_parts(module).items():
        part = resolve(module, name, cls)
        assert type(part) is cls
        assert resolve(module, part, cls) == part
        assert resolve(module, part, cls) is not part


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown likelihood 'gausian'. Did you mean 'gaussian'\?"):
        resolve("likelihoods", "gausian", Likelihood)
    with pytest.raises(TypeError, match="likelihood must be a name or a Likelihood object"):
        resolve("likelihoods", Point(), Likelihood)
    with pytest.raises(ValueError, match="Did you mean 'scale'"):
        Gaussian().set_params(scal=1.0)


def test_defaults_apply_to_parts_given_by_name_only():
    own = MLP((3,))
    assert resolve("networks", "mlp", Network, hidden_layer_sizes=(9,), image_shape=None) == MLP((9,))
    assert resolve("networks", own, Network, hidden_layer_sizes=(9,)) == own


def test_parts_of_other_types_or_with_other_types_of_values_differ():
    assert Gaussian() != Bernoulli()
    assert Gaussian() != "gaussian"
    assert Gaussian(scale=1.0) == Gaussian(scale=1)
    assert Gaussian(scale=np.ones(3)) != Gaussian(scale=1.0)
    assert repr(Gaussian(scale=np.ones(3))) == "Gaussian(scale=array([1., 1., 1.]))"


def test_a_part_without_parameters_holds_one_number_per_row():
    assert GaussianNoise().numbers_per_row == 1


def test_nested_parameters_and_equality():
    class Holder(Part):
        def __init__(self, inner=None, values=(1, 2.0)):
            self.inner, self.values = inner, values

    holder = Holder(GaussianNoise(0.2))
    assert holder.get_params()["inner__scale"] == 0.2
    holder.set_params(inner__scale=0.7)
    assert holder == Holder(GaussianNoise(0.7)) != Holder(Masking(0.7))
    assert holder.clone().inner is not holder.inner
    assert Holder(values=(1, 2)) == Holder(values=(1, 2.0)) != Holder(values=[1, 2])


# ---- what the test kit catches --------------------------------------------------------------------------------


class Unnormalised(Bernoulli):
    def log_prob(self, h, x):
        return super().log_prob(h, x) + 0.01

    def forward(self, h):
        return torch.distributions.Bernoulli(logits=h, validate_args=False)


class Averaged(ContinuousBernoulli):
    def mean(self, h):
        return torch.sigmoid(h)


class Tight(DiagonalNormal):
    def forward(self, h):
        q = super().forward(h)
        q.from_noise = lambda noise: q.mean + 0.9 * q.log_scale.exp() * noise
        return q


class Leaky(GaussianNoise):
    def forward(self, x):
        return x.add_(self.scale * torch.randn_like(x))


class Secretive(GaussianNoise):
    input_mask = True


class Shapeless(GaussianNoise):
    input_mask = True

    def corrupt(self, x):
        return self(x), torch.ones(1, dtype=x.dtype)

    def forward(self, x):
        return 0 * x


class Forgetful(GaussianNoise):
    def __init__(self, scale=1.0):
        self.scale = 2 * scale


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: testing.check_likelihood(Unnormalised(), support=(0, 1)), "log_prob must be forward's"),
        (lambda: testing.check_likelihood(Averaged(), support=(0, 1)), "mean must be E"),
        (lambda: testing.check_likelihood(Gaussian(scale=1.0), log_prob=lambda _p, _h, x: 0 * x), "the reference's"),
        (lambda: testing.check_posterior(Tight()), "rsample|density of transported noise|variance"),
        (lambda: testing.check_corruption(Leaky()), "in place"),
        (lambda: testing.check_corruption(Secretive()), "a mask if input_mask"),
        (lambda: testing.check_corruption(Shapeless()), "the shape and dtype of x"),
        (lambda: testing.check_part(Forgetful()), "clone"),
    ],
)
def test_the_test_kit_catches(check, message):
    with pytest.raises(AssertionError, match=message):
        check()
