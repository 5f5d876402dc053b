"""The contractive penalty is the squared norm of the encoder's Jacobian, whichever way it is computed."""

import math
from functools import partial

import pytest
import torch

from isthmus import _activations
from isthmus._random import seeded
from isthmus.networks import MLP, Conv
from isthmus.penalties import Contraction, EncodedBatch
from isthmus.posteriors import DiagonalNormal, FullNormal, Point, TopK
from models import build, normal

D, K, N = 5, 3, 4


def draw_of(model, x, c=None):
    q = model.q(x, c)
    return EncodedBatch(model, x, q, q.mean[None], torch.ones(len(x)).double(), c)


def jacobian_norm(model, x, c=None):
    """Return ||d code / dx||^2 of every row by plain autodiff, unit by unit."""
    x = x.clone().requires_grad_()
    code = model.q(x, c).mean
    rows = [torch.autograd.grad(code[:, k].sum(), x, retain_graph=True)[0] for k in range(code.shape[1])]
    return sum(row.square().sum(1) for row in rows)


def test_one_sigmoid_layer_agrees_with_rifai():
    model, x = build(D, K, posterior=Point("sigmoid")), normal(N, D)
    layer = model.network.encoder[0]
    h = torch.sigmoid(x @ layer.weight.T + layer.bias)
    expected = ((h * (1 - h)) ** 2 * layer.weight.square().sum(1)).sum(1)  # sum_j (h_j (1 - h_j))^2 ||W_j||^2
    torch.testing.assert_close(Contraction()(draw_of(model, x)), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("code", _activations.names())
def test_one_layer_of_every_activation(code):
    """A formula for the sigmoid is not one for the ReLU."""
    model, x = build(D, K, posterior=Point(code)), 2 * normal(N, D)
    value = Contraction()(draw_of(model, x))
    torch.testing.assert_close(value, jacobian_norm(model, x), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", _activations.names())
def test_derivatives_from_activation_values(name):
    a = torch.linspace(-6, 6, 49, dtype=torch.float64)
    at_output = _activations.derivative_at_output(name)
    if at_output is None:
        assert name in ("silu", "gelu")  # two arguments have one value
    else:
        slope = at_output(_activations.activation(name)(a))
        torch.testing.assert_close(slope, _activations.derivative(name)(a), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("hidden", _activations.names())
@pytest.mark.parametrize("posterior", [Point("sigmoid"), DiagonalNormal()], ids=repr)
def test_deep_chain_of_every_activation(hidden, posterior):
    model, x = build(D, K, network=MLP((7, 6), hidden), posterior=posterior), 2 * normal(N, D)
    value = Contraction(method="exact")(draw_of(model, x))
    torch.testing.assert_close(value, jacobian_norm(model, x), rtol=1e-10, atol=1e-14)


ENCODERS = {
    "one layer": ({"network": MLP(()), "posterior": Point("tanh")}, D),
    "tied": ({"network": MLP((6,), "elu", tied=True), "posterior": Point("sigmoid")}, D),
    "deep": ({"network": MLP((6, 4), "silu"), "posterior": Point("sigmoid")}, D),
    "full normal": ({"network": MLP((6,), "tanh"), "posterior": FullNormal()}, D),
    "top k": ({"network": MLP((6,), "tanh"), "posterior": TopK(k=2)}, D),
    "conv": ({"network": Conv((4, 3), (3, 2), (5,), "gelu"), "posterior": Point("sigmoid")}, 12),
    "conv, diagonal": ({"network": Conv((2, 2, 3), (2,), (), "tanh"), "posterior": DiagonalNormal()}, 12),
}


@pytest.fixture(params=ENCODERS)
def encoder(request):
    parts, n_features = ENCODERS[request.param]
    return build(n_features, K, **parts), normal(N, n_features, seed=1)


def test_exact_is_the_jacobian(encoder):
    model, x = encoder
    value = Contraction(method="exact")(draw_of(model, x))
    torch.testing.assert_close(value, jacobian_norm(model, x), rtol=1e-10, atol=1e-14)


def test_projections_are_unbiased(encoder):
    """The mean over 20,000 sign vectors lies within four standard errors (the seed is fixed)."""
    model, x = encoder
    n = 20_000
    rows = x[:1].expand(n, -1)
    with seeded(0), torch.no_grad():
        estimates = Contraction(method="projection")(draw_of(model, rows))
    exact = float(jacobian_norm(model, x[:1]).detach())
    assert abs(float(estimates.mean()) - exact) < 4 * float(estimates.std()) / math.sqrt(n) + 1e-12
    with seeded(0), torch.no_grad():
        averaged = Contraction(method="projection", n_projections=8)(draw_of(model, rows[:4000]))
    assert float(averaged.std()) == pytest.approx(float(estimates.std()) / math.sqrt(8), rel=0.1)


@pytest.mark.parametrize("method", ["exact", "projection"])
def test_gradient_reaches_every_weight(encoder, method):
    """The gradient is the numerical one, and no weight or bias of the encoder is left without."""
    model, x = encoder
    network = model.network
    modules = [network.encoder] if isinstance(network, MLP) else [network.down, network.dense.encoder]
    parameters = [p for module in modules for p in module.parameters()]

    def value(*_):
        with seeded(0):
            return Contraction(method=method)(draw_of(model, x[:2]))

    assert torch.autograd.gradcheck(value, tuple(parameters))
    *inner, weight, bias = torch.autograd.grad(value().sum(), parameters, allow_unused=True, materialize_grads=True)
    for gradient in inner:
        assert gradient.abs().flatten(1).sum(1).all() if gradient.ndim > 1 else gradient.any()
    # the last layer: rows beyond the first K are the posterior's scales, and a linear code's bias has no slope
    assert weight[:K].any(1).sum() >= (2 if isinstance(model.posterior, TopK) else K)
    assert bool(bias[:K].all()) == isinstance(model.posterior, Point)
    assert not weight[K:].any()


@pytest.mark.parametrize("network", [MLP(()), MLP((6,), "tanh"), Conv((2, 3), (2,), (), "tanh")], ids=repr)
def test_the_derivative_is_with_respect_to_x_alone(network):
    """The derivative is with respect to the row alone; the condition only moves where it is taken."""
    model = build(6, K, network=network, posterior=Point("sigmoid"), n_conditions=2)
    x, c = normal(N, 6), normal(N, 2, seed=1)
    value = Contraction(method="exact")(draw_of(model, x, c))
    torch.testing.assert_close(value, jacobian_norm(model, x, c), rtol=1e-10, atol=1e-14)
    assert not torch.allclose(value, Contraction(method="exact")(draw_of(model, x, c + 1)))
    with seeded(0), torch.no_grad():
        many = Contraction(method="projection")(draw_of(model, x[:1].expand(8000, -1), c[:1].expand(8000, -1)))
    assert abs(float(many.mean()) - float(value[0].detach())) < 4 * float(many.std()) / math.sqrt(8000)


def test_auto_is_exact_for_one_layer_and_projects_deep_ones():
    x = normal(N, D)
    one, deep = build(D, K, posterior=Point("sigmoid")), build(D, K, network=MLP((4,)), posterior=Point("sigmoid"))
    torch.testing.assert_close(Contraction()(draw_of(one, x)), Contraction(method="exact")(draw_of(one, x)))
    with seeded(0):
        auto = Contraction()(draw_of(deep, x))
    with seeded(0):
        projected = Contraction(method="projection")(draw_of(deep, x))
    assert torch.equal(auto, projected)
    with pytest.raises(ValueError, match="method must be"):
        Contraction(method="hutchinson")(draw_of(one, x))


def counted(count, function, *args):
    count.append(function)
    return function(*args)


@pytest.mark.parametrize("network", [MLP((64, 64), "tanh"), Conv((2, 4), (4,), (16,), "tanh")], ids=repr)
def test_deep_cost_does_not_grow_with_the_units(network, monkeypatch):
    """One projection is one pass through the encoder's layers, for 2 units as for 50: no backward pass per unit."""
    calls = []
    for n_components in (2, 50):
        model = build(8, n_components, network=network, posterior=Point("sigmoid"))
        draw = draw_of(model, normal(N, 8))
        count = []
        monkeypatch.setattr(torch.nn.functional, "linear", partial(counted, count, torch.nn.functional.linear))
        Contraction()(draw)
        monkeypatch.undo()
        calls.append(len(count))
    assert calls[0] == calls[1] <= 4
