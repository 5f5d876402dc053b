"""Every part passes the checks of `isthmus.testing`, with the rows of `cases`."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest

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
from isthmus import _activations, testing
from isthmus._part import Part, UnknownNameError, find_parts, resolve
from isthmus._random import seeded
from isthmus.corruptions import GaussianNoise, Masking, SaltAndPepper, UniformNoise
from isthmus.likelihoods import Bernoulli, Categorical, ContinuousBernoulli, Gaussian, Likelihood
from isthmus.networks import MLP, Conv, Network, Sizes
from isthmus.penalties import Warmup
from isthmus.posteriors import DiagonalNormal, Point, TopK
from isthmus.scaling import ColumnMoments, MinMax, Standard
from models import build, normal


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
    assert [Warmup(2.0, over=0.4).at(t) for t in (0.0, 0.1, 0.4, 1.0)] == [0.0, 0.5, 2.0, 2.0]
    assert Warmup(2.0, over=0.0).at(0.0) == 2.0


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


# ---- single parts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", _activations.names())
def test_activation_derivatives(name):
    a = torch.cat([normal(200, seed=1) * 3, torch.tensor([-30.0, 30.0]).double()]).requires_grad_()
    (slope,) = torch.autograd.grad(_activations.activation(name)(a).sum(), a)
    torch.testing.assert_close(_activations.derivative(name)(a), slope, rtol=1e-10, atol=1e-12)


def test_bernoulli_of_grey_values_is_the_expected_log_probability():
    h, grey = normal(5), torch.rand(5).double()
    p = Bernoulli()
    p.build(5)
    expected = grey * p.log_prob(h, torch.ones(5)) + (1 - grey) * p.log_prob(h, torch.zeros(5))
    torch.testing.assert_close(p.log_prob(h, grey), expected)


@pytest.mark.parametrize("eta", [0.0, 1e-9, 1e-3, 0.0999999, 0.1000001, -0.1, 3.0, -40.0])
def test_continuous_bernoulli_is_smooth_at_logit_0(eta):
    p = ContinuousBernoulli()
    p.build(1)
    h = torch.tensor([eta], dtype=torch.float64, requires_grad=True)
    x = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    density = torch.exp(x * eta - eta * (eta > 0))  # any multiple of it
    mass = torch.trapezoid(density, x)
    log_c = p.log_prob(h, torch.zeros(1).double())
    (slope,) = torch.autograd.grad(log_c, h)  # d log C / d eta = -E[x]
    torch.testing.assert_close(log_c.detach(), (density[:1] / mass).log(), rtol=1e-7, atol=1e-7)
    mean = torch.trapezoid(x * density, x) / mass
    torch.testing.assert_close(-slope, mean.reshape(1), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(p.mean(h.detach()), mean.reshape(1), rtol=1e-7, atol=1e-7)


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
    model.init_from_mean(torch.tensor(mean, dtype=torch.float64))
    start = model.likelihood.mean(model.decode(torch.zeros(1, 3).double()))[0]
    torch.testing.assert_close(start, torch.tensor(mean, dtype=torch.float64))


def test_encoder_inputs_of_probabilities_are_centred():
    mean, x = torch.tensor([0.1, 0.4, 0.9]).double(), torch.rand(5, 3, dtype=torch.float64)
    model = build(3, likelihood=Bernoulli())
    model.init_from_mean(mean)
    torch.testing.assert_close(model.encoder_input(x), x - mean)
    moved = build(3, likelihood=Bernoulli())
    moved.load_state_dict(model.state_dict() | {"centre": torch.zeros(3).double()})
    torch.testing.assert_close(moved.q(x - mean).mean, model.q(x).mean)
    mask = torch.tensor([1.0, 0.0, 1.0]).double()  # a missing cell equals the mean
    torch.testing.assert_close(model.q(x, mask=mask).mean, model.q(torch.where(mask == 1, x, mean)).mean)
    assert build(3, likelihood=Gaussian()).encoder_input(x) is x


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


def test_corruptions_have_their_distributions():
    x = 1 + normal(400, 50).abs()
    for part in (Masking(0.3), SaltAndPepper(0.3)):
        part.build(x)
        with seeded(0):
            changed = part(x) != x
        # 20,000 cells, a standard error of 0.0032; an extreme cell may be replaced by itself
        assert abs(float(changed.double().mean()) - 0.3) < 0.016
    with seeded(0):
        corrupted = part(x)
    low, high = (corrupted == x.amin(0)) & changed, (corrupted == x.amax(0)) & changed
    assert ((corrupted == x) | low | high).all()
    assert abs(float(low.sum() / (low | high).sum()) - 0.5) < 0.035
    noise = GaussianNoise(0.5)
    noise.build(x)
    with seeded(0):
        added = noise(x) - x
    assert abs(float(added.std()) - 0.5) < 0.0125
    assert abs(float(added.mean())) < 0.0178
    with seeded(0):
        added = UniformNoise(0.5)(x) - x
    assert kstest(added.flatten().numpy(), "uniform", (-0.5, 1.0)).pvalue > 1e-3


def test_corruptions_of_probability_0_and_1():
    x = normal(20, 4)
    for part, expected in [(Masking(0.0), x), (Masking(1.0), 0 * x), (SaltAndPepper(0.0), x), (UniformNoise(0.0), x)]:
        part.build(x)
        assert torch.equal(part(x), expected)


def test_input_mask_is_1_where_cells_were_kept():
    x = 1 + normal(400, 50).abs()  # no cell is 0 by itself
    for part in (Masking(0.3), Masking(0.3, input_mask=True)):
        with seeded(0):
            row, kept = part.corrupt(x)
        assert part.input_mask == (kept is not None)
    assert torch.equal(kept, (row != 0).to(x.dtype))
    assert torch.equal(row, x * kept)
    with seeded(0):
        assert torch.equal(row, Masking(0.3)(x))  # the draws do not depend on input_mask


def test_standard_scaling_by_unit():
    units = normal(100, 3) * torch.tensor([1.0, 1.5, 2.0])
    table = normal(100, 3) * torch.tensor([1.0, 100.0, 2000.0])
    weight = torch.ones(100).double()
    for x, per, one_number in [
        (units, "auto", True),
        (table, "auto", False),
        (units, "feature", False),
        (table, "all", True),
    ]:
        scaling = Standard(per)
        scaling.build(3)
        scaling.set_from_data(x, weight)
        scaled = scaling(x)
        torch.testing.assert_close(scaled.mean(0), torch.zeros(3).double())
        variance = scaled.var(0, correction=0)
        assert bool((scaling.scale == scaling.scale[0]).all()) == one_number
        torch.testing.assert_close(
            variance.mean() if one_number else variance, torch.ones_like(variance.mean() if one_number else variance)
        )


@pytest.mark.parametrize("value", [0.1, 1e8 + 0.1, 0.0, -1e-20])
def test_a_constant_feature_is_not_divided_by_0(value):
    x = torch.stack([torch.full((97,), value, dtype=torch.float64), normal(97)], 1)
    scaling = Standard("feature")
    scaling.build(2)
    scaling.set_from_data(x, torch.ones(97).double())
    assert scaling.scale[0] == 1
    assert scaling(x)[:, 0].abs().max() < 1e-6


def test_min_max_bounds():
    weight = torch.ones(2).double()
    for part, x, expected in [
        (MinMax(), [[0.2], [0.7]], [0.2, 0.7]),
        (MinMax(), [[-3.0], [5.0]], [0.0, 1.0]),
        (MinMax(low=0.0, high=10.0), [[0.0], [5.0]], [0.0, 0.5]),
    ]:
        x = torch.tensor(x, dtype=torch.float64)
        part.build(1)
        part.set_from_data(x, weight)
        assert part(x)[:, 0].tolist() == pytest.approx(expected)
    with pytest.raises(ValueError, match="must be greater"):
        MinMax(high=-5.0).set_from_data(x, weight)
    with pytest.raises(ValueError, match="per must be"):
        Standard("column").set_from_data(x, weight)


def test_moments_of_chunks_merge_to_those_of_all_rows():
    """Also if a chunk has no observed cell, or no positive weight, for a feature."""
    x = normal(40, 4) * torch.tensor([1.0, 1e-3, 1e3, 1.0]) + torch.tensor([0.0, 1e3, -5.0, 2.0])
    x[torch.rand(40, 4, generator=torch.Generator().manual_seed(1)) < 0.3] = torch.nan
    x[:10, 0] = torch.nan
    weight = torch.arange(40).double() % 4
    weight[10:20] = 0.0
    whole = ColumnMoments.of(x, weight)
    for size in (1, 7, 10, 39):
        first, *rest = (ColumnMoments.of(a, w) for a, w in zip(x.split(size), weight.split(size), strict=True))
        for part in rest:
            first = first.merge(part)
        for merged, expected in zip(first, whole, strict=True):
            torch.testing.assert_close(merged, expected, rtol=1e-10, atol=0)
    column = x[(weight > 0) & ~x[:, 2].isnan(), 2].numpy()
    share = weight[(weight > 0) & ~x[:, 2].isnan()].numpy()
    assert float(whole.mean[2]) == pytest.approx(np.average(column, weights=share), rel=1e-12)
    assert float(whole.variance[2]) == pytest.approx(np.cov(column, aweights=share, ddof=0), rel=1e-12)
    assert (float(whole.low[2]), float(whole.high[2])) == (column.min(), column.max())


def test_scaling_keeps_the_digits_of_a_large_offset():
    x = 1e8 + normal(50, 1)
    scaling = Standard("feature")
    scaling.build(1)
    scaling.set_from_data(x, torch.ones(50).double())
    assert scaling.float()(x).std() == pytest.approx(1.0, rel=0.02)


def test_top_k_keeps_exactly_k():
    q = TopK(k=2)
    q.build(5)
    code = q(normal(100, 5)).mean
    assert ((code != 0).sum(1) == 2).all()


def test_conv_takes_any_image_shape():
    for shape in [(8, 8), (28, 28), (7, 5), (3, 4, 9)]:
        width = torch.Size(shape).numel()
        net = Conv(image_shape=shape, channels=(2, 3), hidden_layer_sizes=())
        net.build(Sizes(width, 2, 2, 2 * width))
        assert net(torch.zeros(2, width)).shape == (2, 2 * width)


def test_tied_weights_are_transposed_encoder_weights():
    """Of the encoder's last layer, the rows of the means are transposed, not those of the scales."""
    net = MLP((7,), activation="identity", tied=True)
    net.build(Sizes(n_features=5, n_components=3, n_encoder_outputs=6, n_decoder_outputs=5))
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net.decode(z), z @ net.encoder[1].weight[:3] @ net.encoder[0].weight)
