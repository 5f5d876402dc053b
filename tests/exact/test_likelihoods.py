"""Likelihoods beyond the checks of every part: extremes, float32, and encoder inputs."""

import numpy as np
import pytest
import torch
from scipy import stats

from isthmus import Autoencoder
from isthmus._random import seeded
from isthmus.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    Laplace,
    Mixed,
    NegativeBinomial,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)
from isthmus.penalties import Contraction, EncodedBatch
from isthmus.posteriors import Point
from models import build, build_in_place, build_part, normal

COUNTS = [
    Poisson(),
    NegativeBinomial(),
    NegativeBinomial(dispersion=1e-6),
    NegativeBinomial(dispersion="decoder"),
    ZeroInflatedPoisson(),
    ZeroInflatedNegativeBinomial(dispersion="decoder"),
]
REALS = [Laplace(), Laplace("decoder"), StudentT(), StudentT("decoder", df="feature"), StudentT(df=0.5)]
LEVELS = [DiscretizedLogistic(n_levels=256), DiscretizedLogistic("decoder", n_levels=2)]
FLOATS = torch.float32, torch.float64


def with_missing(X, share=0.2, seed=1):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


# ---- finite and accurate numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [*COUNTS, *REALS, *LEVELS], ids=repr)
def test_extreme_outputs_and_cells_stay_finite_in_float32(part):
    cells = {"counts": [0, 1, 40, 1e6], "reals": [0, -1e6, 3, 1e6], "levels": [0, 1, 0, 1]}
    kind = "counts" if part in COUNTS else "levels" if part in LEVELS else "reals"
    x = torch.tensor(cells[kind])
    p = build_part(part, 4, torch.float32)
    for size in (0.0, 20.0, 50.0, 300.0, 1e4):
        signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * (p.n_outputs // 4))
        h = (size * signs.reshape(len(signs), -1, 1)).expand(-1, -1, 4).reshape(len(signs), -1).requires_grad_()
        value = p.log_prob(h, x)
        slopes = torch.autograd.grad(value.sum(), [h, *p.parameters()])
        assert value.isfinite().all(), (size, value)
        assert all(slope.isfinite().all() for slope in slopes), size
        if kind != "reals":
            assert (value <= 1e-5).all(), "a probability is at most 1"


@pytest.mark.parametrize("x", [0.0, 1.0, 16.0, 17.0, 1e3, 1e6])
@pytest.mark.parametrize("off", [-3.0, -1e-3, 0.0, 1e-2, 2.0])
def test_float32_keeps_the_digits_of_large_counts(x, off):
    """For a count of a million, the terms are 1e7 nats each, and a float32 difference is one nat off."""
    h, x = torch.tensor([np.log(max(x, 1)) + off], dtype=torch.float32), torch.tensor([x])
    rate = np.exp(h.double().numpy())
    close = {"rtol": 1e-5, "atol": 2e-3}
    expected = stats.poisson.logpmf(x.double(), rate)  # of a float32 count, scipy 1.11 loses these digits itself
    np.testing.assert_allclose(build_part(Poisson(), 1).log_prob(h, x), expected, **close)
    for dispersion in (1e-6, 0.01, 1.0, 100.0):
        expected = stats.nbinom.logpmf(x.double(), 1 / dispersion, 1 / (1 + dispersion * rate))
        p = build_part(NegativeBinomial(dispersion), 1)
        # scipy loses digits where 1 / dispersion is large: 1e6 log(1 + 1e-6 rate)
        np.testing.assert_allclose(p.log_prob(h, x), expected, **close)
        np.testing.assert_allclose(p.log_prob(h.double(), x.double()), expected, rtol=1e-7, atol=1e-7)


def test_negative_binomial_becomes_poisson():
    h, x = normal(6), torch.tensor([0.0, 1, 2, 5, 30, 1000]).double()
    near = build_part(NegativeBinomial(1e-12), 6).log_prob(h, x)
    torch.testing.assert_close(near, build_part(Poisson(), 6).log_prob(h, x), rtol=1e-6, atol=1e-6)


def test_student_t_has_cauchy_and_normal_as_limits():
    h, x = normal(6), 3 * normal(6, seed=1)
    for df, expected in ((1.0, stats.cauchy.logpdf(x, h)), (1e9, stats.norm.logpdf(x, h))):
        np.testing.assert_allclose(build_part(StudentT(1.0, df=df), 6).log_prob(h, x), expected, rtol=1e-7)
        single = build_part(StudentT(1.0, df=df), 6, torch.float32).log_prob(h.float(), x.float())
        np.testing.assert_allclose(single, expected, rtol=1e-5)
    df = torch.tensor([2.0, 59.999, 60.001, 200.0]).double()  # the series of the gamma functions begins at 60
    each = [
        float(build_part(StudentT(1.0, df=float(v)), 1).log_prob(torch.zeros(1).double(), torch.ones(1))) for v in df
    ]
    np.testing.assert_allclose(each, stats.t.logpdf(1.0, df), rtol=1e-12)


def test_student_t_takes_cells_whose_square_overflows():
    p = build_part(StudentT(1.0, df=2.0), 1, torch.float32)
    h = torch.zeros(1, requires_grad=True)
    value = p.log_prob(h, torch.tensor([1e30]))
    assert float(value.detach()) == pytest.approx(stats.t.logpdf(1e30, 2), rel=1e-6)
    assert torch.autograd.grad(value, h)[0].isfinite()


@pytest.mark.parametrize("scale", [1e-3, 0.05, 1.0, 1e4, 1e12])
@pytest.mark.parametrize("centre", [-30.0, -1.0, 0.001, 1.02, 30.0])
def test_discretized_logistic_sums_to_one_and_has_its_mean(scale, centre):
    levels = torch.arange(256.0).double()
    p = build_part(DiscretizedLogistic(scale, n_levels=256), 256)
    h = torch.full((256,), centre).double()
    log_prob = p.log_prob(h, levels)
    mass = log_prob.exp()
    assert float(mass.sum()) == pytest.approx(1, rel=1e-12)
    assert float(mass @ levels) == pytest.approx(float(p.mean(h)[0]), rel=1e-9, abs=1e-9)
    single = p.float().log_prob(h.float(), levels.float())
    assert single.isfinite().all()
    np.testing.assert_allclose(single, log_prob, rtol=1e-4, atol=1e-4)


def test_discretized_logistic_far_from_its_centre_keeps_its_digits():
    """The difference of the two sigmoids is 0 there in any dtype."""
    p = build_part(DiscretizedLogistic(1e-3, n_levels=256), 1, torch.float32)
    h = torch.tensor([-1.0], requires_grad=True)
    value = p.log_prob(h, torch.tensor([254.0]))
    step = 2 / 255
    exact = -(254 - 0.5) * step / 1e-3 + np.log1p(-np.exp(-step / 1e-3))
    assert float(value.detach()) == pytest.approx(exact, rel=1e-5)
    assert float(torch.autograd.grad(value, h)[0]) == pytest.approx(1000, rel=1e-3)


def test_zero_inflation_at_its_ends():
    """pi = 0 gives counts only, pi = 1 zeros only."""
    h, x = normal(3), torch.tensor([0.0, 1.0, 7.0]).double()
    p = build_part(ZeroInflatedPoisson(), 3)
    none = p.log_prob(torch.cat([h, torch.full_like(h, -50)]), x)
    torch.testing.assert_close(none, build_part(Poisson(), 3).log_prob(h, x))
    every = p.log_prob(torch.cat([h, torch.full_like(h, 50)]), x)
    assert every[0] == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(every[1:], none[1:] - 50)


@pytest.mark.parametrize("part", COUNTS, ids=repr)
@pytest.mark.parametrize("dtype", FLOATS)
def test_counts_start_from_the_mean_and_are_drawn_at_any_rate(part, dtype):
    p = build_part(part, 4, dtype)
    mean = torch.tensor([0.0, 0.3, 7.0, 1e6], dtype=dtype)
    torch.testing.assert_close(p.mean(p.initial_output(mean)), mean.clamp(min=1e-3 * 0.9), rtol=1e-4, atol=1e-3)
    for size in (-1e4, 0.0, 1e4):
        drawn = p.sample(torch.full((5, p.n_outputs), size, dtype=dtype))
        assert p.supports(drawn).all(), drawn


def test_support_of_counts():
    x = torch.tensor([[0.0, 3.0, 1e6, -1.0, 1.5, torch.inf, torch.nan]])
    assert build_part(Poisson(), 7).supports(x)[0].tolist() == [True, True, True, False, False, False, False]
    p = build_part(DiscretizedLogistic(n_levels=4), 7)
    assert p.supports(x)[0].tolist() == [True, True, False, False, False, False, False]


# ---- encoder inputs -----------------------------------------------------------------------------------------------


def test_encoder_input():
    x = torch.tensor([[0.0, 1e6, -3.0]]).double().requires_grad_()
    seen = build_part(Poisson(), 3).encoder_input(x)
    np.testing.assert_allclose(seen.detach()[0], [0, np.log1p(1e6), -np.log(4)], rtol=1e-12)
    assert torch.autograd.grad(seen.sum(), x)[0][0].tolist() == pytest.approx([1, 1 / (1 + 1e6), 1 / 4])
    bytes_ = build_part(DiscretizedLogistic(n_levels=256), 3).encoder_input(torch.tensor([0.0, 127.5, 255.0]))
    assert bytes_.tolist() == [-1, 0, 1]
    rows = torch.ones(2, 3)
    plain = build_part(Mixed(("gaussian", "bernoulli"), ((0, 2), (1,))), 3)
    assert plain.encoder_input(rows) is rows
    counts = build_part(Mixed(("gaussian", "poisson"), ((2, 0), (1,))), 3)
    np.testing.assert_allclose(counts.encoder_input(rows), rows * torch.tensor([1, np.log(2), 1]), rtol=1e-6)


def test_large_logits_keep_their_digits():
    """log sigmoid(25) is -1.39e-11; torch's softplus returns 25 for log(1 + e^25), which gives 0."""
    part, h, x = Bernoulli(), torch.tensor([[25.0]]).double(), torch.ones(1, 1).double()
    part.build(1)
    expected = -np.log1p(np.exp(-25.0))
    assert float(part.log_prob(h, x)) == pytest.approx(expected, rel=1e-3)  # 25 - 25.0000000000139
    assert float(part.row_log_prob(h, x)) == pytest.approx(expected, rel=1e-3)


def test_dynamic_binarisation():
    """Each training step has other draws of mean x, the same for encoder and loss."""
    x = torch.tensor([0.0, 0.3, 1.0]).repeat(20_000, 1)
    part = build_part(Bernoulli(binarize=True), 3)
    with seeded(0):
        first, second = part.sample_targets(x), part.sample_targets(x)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(first.mean(0), x[0], atol=0.01)  # standard error .0032
    assert 0.3 < (first[:, 1] != second[:, 1]).float().mean() < 0.54  # 2 * .3 * .7 = .42
    assert Bernoulli().sample_targets(x) is x
    mixed = build_part(Mixed((Bernoulli(binarize=True), "gaussian"), columns=((1,), (0, 2))), 3)
    with seeded(0):
        seen = mixed.sample_targets(x)
    assert (seen[:, [0, 2]] == x[:, [0, 2]]).all()
    assert set(seen[:, 1].unique().tolist()) == {0.0, 1.0}


def test_dynamic_binarisation_gives_encoder_and_loss_the_same_draws():
    """A wide code restores the draws themselves: far below the entropy of the grey values, .61 nats each."""
    X = np.full((500, 4), 0.3) + np.linspace(-0.001, 0.001, 500)[:, None]
    fields = {
        "hidden_layer_sizes": (16,),
        "scaling": "none",
        "max_epochs": 60,
        "learning_rate": 0.02,
        "random_state": 0,
    }
    models = [Autoencoder(4, likelihood=Bernoulli(binarize=b), **fields).fit(X) for b in (False, True)]
    losses = [model.history_[-1]["loss"] for model in models]
    assert losses[0] > 4 * 0.6
    assert losses[1] < 4 * 0.1


def test_counts_are_standardised_by_observed_cells():
    x = torch.from_numpy(with_missing(np.random.default_rng(0).poisson([[1.0, 50.0, 4e5]], (40, 3)).astype(float)))
    weight = (torch.arange(40) % 3).double()
    weighted, repeated = Poisson(), Poisson()
    weighted.set_from_data(x, weight)
    repeated.set_from_data(x.repeat_interleave(weight.long(), 0))
    seen, mask = (build_in_place(p, 3).encoder_input(x) for p in (weighted, repeated)), ~x.isnan()
    first, second = seen
    torch.testing.assert_close(first, second, equal_nan=True)
    share = mask * weight.unsqueeze(-1)
    share = share / share.sum(0)
    torch.testing.assert_close((share * first.nan_to_num()).sum(0), torch.zeros(3).double())
    assert (share * first.nan_to_num().square()).sum(0).mean() == pytest.approx(1)
    constant = Poisson()
    constant.set_from_data(torch.full((4, 3), 7.0))
    assert (build_in_place(constant, 3).encoder_input(torch.full((4, 3), 7.0)) == 0).all()


def test_contraction_differentiates_by_counts_and_not_by_their_logarithms():
    model = build(4, 3, likelihood=Poisson(), posterior=Point("sigmoid"))
    x = torch.tensor([[0.0, 2.0, 30.0, 0.0], [5.0, 0.0, 1.0, 400.0]]).double().repeat(5000, 1)
    weight, code = model.network.encoder[0].weight, model.q(x).mean
    slopes = (code * (1 - code)).unsqueeze(-1) * weight / (1 + x).unsqueeze(1)  # (N, K, D)
    expected = slopes.square().sum((1, 2))
    draw = EncodedBatch(model, x, model.q(x), code.unsqueeze(0), torch.ones(len(x)).double())
    torch.testing.assert_close(Contraction(method="exact")(draw), expected)
    estimates = Contraction(method="projection")(draw).reshape(5000, 2).mean(0)
    torch.testing.assert_close(estimates, expected[:2], rtol=0.05, atol=0)
