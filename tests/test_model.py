"""The model: where training starts, what the encoder sees, and the memory that a row needs."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from isthmus.likelihoods import Bernoulli, Categorical, Gaussian
from isthmus.model import Model
from isthmus.networks import MLP, Conv
from isthmus.posteriors import DiagonalNormal, FlowNormal, FullNormal
from isthmus.priors import Flow, MixtureOfNormals, StandardNormal, VampPrior
from models import build

N = 2000


class Largest(TorchDispatchMode):
    """Measures the largest result of any operation."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result._base is None:  # no view
            self.numbers = max(self.numbers, result.numel())
        return result


MODELS = {
    "linear": {},
    "wide": {"network": MLP((300, 100))},
    "narrow": {"network": MLP((10,))},
    "tied": {"network": MLP((300,), tied=True)},
    "images": {"network": Conv(image_shape=(8, 8))},
    "many channels": {"network": Conv(image_shape=(8, 8), channels=(100, 8), hidden_layer_sizes=())},
    "full covariance": {"posterior": FullNormal()},
    "normalizing flow as posterior": {"posterior": FlowNormal(hidden_layer_sizes=(64, 64))},
    "normalizing flow as prior": {"prior": Flow()},
    "mixture": {"prior": MixtureOfNormals(50)},
    "vamp": {"prior": VampPrior(60)},
    "levels": {"likelihood": Categorical((20,) * 64)},
    "two outputs per column": {"likelihood": Gaussian(scale="decoder")},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_models_largest_tensor(name):
    parts = {"posterior": DiagonalNormal(), "prior": StandardNormal(), "likelihood": Bernoulli()} | MODELS[name]
    model = build(64, 20, **parts)
    x = torch.zeros(N, 64).double()
    with torch.no_grad(), Largest() as largest:
        q = model.q(x)
        model.log_joint_ratio(q, q.rsample((1,)), x)
    fixed = max(math.prod(p.shape) for p in model.parameters())
    assert largest.numbers > 2 * fixed, "or N is too small to measure with"
    assert model.numbers_per_row / 4 < largest.numbers / N <= model.numbers_per_row


@pytest.mark.parametrize(
    ("likelihood", "mean"),
    [
        (Gaussian(), [-3.0, 0.0, 7.0]),
        (Gaussian(scale="decoder"), [-3.0, 0.0, 7.0]),
        (Bernoulli(), [0.02, 0.5, 0.9]),
    ],
)
def test_training_starts_from_the_mean(likelihood, mean):
    model = build(3, likelihood=likelihood)
    model.init_from_data(torch.zeros(2, 3), torch.tensor(mean, dtype=torch.float64))
    start = model.likelihood.mean(model.decode(torch.zeros(1, 3).double()))[0]
    torch.testing.assert_close(start, torch.tensor(mean, dtype=torch.float64))


def test_encoder_inputs_of_probabilities_are_centred():
    mean, x = torch.tensor([0.1, 0.4, 0.9]).double(), torch.rand(5, 3, dtype=torch.float64)
    model = build(3, likelihood=Bernoulli())
    model.init_from_data(x, mean)
    torch.testing.assert_close(model.encoder_input(x), x - mean)
    moved = build(3, likelihood=Bernoulli())
    moved.load_state_dict(model.state_dict() | {"centre": torch.zeros(3).double()})
    torch.testing.assert_close(moved.q(x - mean).mean, model.q(x).mean)
    mask = torch.tensor([1.0, 0.0, 1.0]).double()  # a missing cell equals the mean
    torch.testing.assert_close(model.q(x, mask=mask).mean, model.q(torch.where(mask == 1, x, mean)).mean)
    assert build(3, likelihood=Gaussian()).encoder_input(x) is x


def test_an_iterated_imputation_stops_for_good_when_its_steps_grow(monkeypatch):
    """The steps of the first sample are 1, 2 and then 0.1; those of the second one are 1, 0.5 and 0.25."""
    model = build(2, 1)
    guesses = iter(torch.tensor([[1.0, 1.0], [3.0, 1.5], [1.1, 1.75]]).double())
    monkeypatch.setattr(model.likelihood, "mean", lambda _: next(guesses)[:, None].repeat(1, 2))
    x, mask = torch.zeros(2, 2).double(), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    expected = torch.tensor([[1.0, 0.0], [1.75, 0.0]]).double()
    torch.testing.assert_close(model.impute(x, None, mask, 3), expected)


def test_a_model_that_is_set_to_a_linear_one_is_that_also_given_a_condition():
    model = build(3, 2, n_conditions=2, network=MLP((8,), skip=True), posterior=DiagonalNormal())
    model.init_from_data(torch.randn(20, 3).double(), torch.zeros(3).double())
    draws = torch.Generator().manual_seed(1)
    shapes = {"weight": (2, 3), "bias": (2,), "log_scale": (2,), "loadings": (3, 2), "mean": (3,), "effect": (3, 2)}
    linear = {name: torch.randn(shape, generator=draws).double() for name, shape in shapes.items()}
    x, z, c = (torch.randn(5, n, generator=draws).double() for n in (3, 2, 2))
    noise = torch.full((3,), 0.25).double()
    model.set_linear(
        (linear["weight"], linear["bias"], linear["log_scale"]),
        (linear["loadings"], linear["mean"], noise),
        linear["effect"],
    )
    q = model.q(x, c)
    torch.testing.assert_close(q.mean, (x - c @ linear["effect"].T) @ linear["weight"].T + linear["bias"])
    torch.testing.assert_close(q.stddev, linear["log_scale"].exp().expand(5, 2))
    mean = z @ linear["loadings"].T + linear["mean"] + c @ linear["effect"].T
    torch.testing.assert_close(model.likelihood.mean(model.decode(z, c)), mean)


def test_an_encoder_without_a_mask_gets_the_observed_cells_and_imputed_ones():
    model, x = build(4, 2), 3 + torch.randn(6, 4, generator=torch.Generator().manual_seed(2)).double()
    mask = torch.ones_like(x)
    mask[:, 1] = 0.0
    found = model.encode(torch.where(mask == 0, 99.0, x), None, mask)
    filled = torch.where(mask == 0, 0.0, x)
    for _ in range(20):  # the fixed point of imputing the missing cell with its reconstruction
        filled = torch.where(mask == 0, model.likelihood.mean(model.decode(model.q(filled).mean)), x)
    torch.testing.assert_close(found.mean, model.q(filled).mean, atol=1e-2, rtol=1e-2)
    assert (found.mean - model.q(torch.where(mask == 0, 0.0, x)).mean).abs().max() > 0.01


def test_a_model_without_conditions_is_the_default():
    parts = {"likelihood": Gaussian(), "prior": StandardNormal(), "scaling": build(2, 1).scaling.clone()}
    model = Model(network=MLP(()), posterior=DiagonalNormal(), **parts)
    model.build(n_features=4, n_components=2)
    assert model.network.sizes.n_conditions == 0
