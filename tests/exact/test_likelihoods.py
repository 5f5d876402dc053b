"""Likelihoods where the conformance table does not reach: extremes, float32, mixed columns, and whole fits."""

import json

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_iris

import isthmus
from isthmus import VAE, Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder, serialization
from isthmus._random import seeded
from isthmus.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
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
from isthmus.scaling import NoScaling, PerColumn, Standard
from models import build, normal

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


def made(part, n_features, dtype=torch.float64):
    return made_again(part.clone(), n_features, dtype)


def made_again(part, n_features, dtype=torch.float64):
    """Build the part itself, with what it inferred."""
    part.build(n_features)
    return part.to(dtype)


# ---- numbers that stay numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [*COUNTS, *REALS, *LEVELS], ids=repr)
def test_extreme_outputs_and_cells_stay_finite_in_float32(part):
    cells = {"counts": [0, 1, 40, 1e6], "reals": [0, -1e6, 3, 1e6], "levels": [0, 1, 0, 1]}
    kind = "counts" if part in COUNTS else "levels" if part in LEVELS else "reals"
    x = torch.tensor(cells[kind])
    p = made(part, 4, torch.float32)
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
    """Written out, the terms at a million are 1e7 nats each, and float32 is one nat off."""
    h, x = torch.tensor([np.log(max(x, 1)) + off], dtype=torch.float32), torch.tensor([x])
    rate = np.exp(h.double().numpy())
    close = {"rtol": 1e-5, "atol": 2e-3}
    np.testing.assert_allclose(made(Poisson(), 1).log_prob(h, x), stats.poisson.logpmf(x, rate), **close)
    for dispersion in (1e-6, 0.01, 1.0, 100.0):
        expected = stats.nbinom.logpmf(x.double(), 1 / dispersion, 1 / (1 + dispersion * rate))
        p = made(NegativeBinomial(dispersion), 1)
        # scipy itself loses digits where 1 / dispersion is large: 1e6 log(1 + 1e-6 rate), say
        np.testing.assert_allclose(p.log_prob(h, x), expected, **close)
        np.testing.assert_allclose(p.log_prob(h.double(), x.double()), expected, rtol=1e-7, atol=1e-7)


def test_negative_binomial_becomes_poisson():
    h, x = normal(6), torch.tensor([0.0, 1, 2, 5, 30, 1000]).double()
    near = made(NegativeBinomial(1e-12), 6).log_prob(h, x)
    torch.testing.assert_close(near, made(Poisson(), 6).log_prob(h, x), rtol=1e-6, atol=1e-6)


def test_student_t_has_cauchy_and_normal_as_limits():
    h, x = normal(6), 3 * normal(6, seed=1)
    for df, expected in ((1.0, stats.cauchy.logpdf(x, h)), (1e9, stats.norm.logpdf(x, h))):
        np.testing.assert_allclose(made(StudentT(1.0, df=df), 6).log_prob(h, x), expected, rtol=1e-7)
        single = made(StudentT(1.0, df=df), 6, torch.float32).log_prob(h.float(), x.float())
        np.testing.assert_allclose(single, expected, rtol=1e-5)
    df = torch.tensor([2.0, 59.999, 60.001, 200.0]).double()  # the series of the gamma functions begins at 60
    each = [float(made(StudentT(1.0, df=float(v)), 1).log_prob(torch.zeros(1).double(), torch.ones(1))) for v in df]
    np.testing.assert_allclose(each, stats.t.logpdf(1.0, df), rtol=1e-12)


def test_student_t_takes_cells_whose_square_is_no_float32():
    p = made(StudentT(1.0, df=2.0), 1, torch.float32)
    h = torch.zeros(1, requires_grad=True)
    value = p.log_prob(h, torch.tensor([1e30]))
    assert float(value.detach()) == pytest.approx(stats.t.logpdf(1e30, 2), rel=1e-6)
    assert torch.autograd.grad(value, h)[0].isfinite()


@pytest.mark.parametrize("scale", [1e-3, 0.05, 1.0, 1e4, 1e12])
@pytest.mark.parametrize("centre", [-30.0, -1.0, 0.001, 1.02, 30.0])
def test_discretized_logistic_sums_to_one_and_knows_its_mean(scale, centre):
    levels = torch.arange(256.0).double()
    p = made(DiscretizedLogistic(scale, n_levels=256), 256)
    h = torch.full((256,), centre).double()
    log_prob = p.log_prob(h, levels)
    mass = log_prob.exp()
    assert float(mass.sum()) == pytest.approx(1, rel=1e-12)
    assert float(mass @ levels) == pytest.approx(float(p.mean(h)[0]), rel=1e-9, abs=1e-9)
    single = p.float().log_prob(h.float(), levels.float())
    assert single.isfinite().all()
    np.testing.assert_allclose(single, log_prob, rtol=1e-4, atol=1e-4)


def test_discretized_logistic_far_from_its_centre_keeps_its_digits():
    """The difference of the two sigmoids is 0 there in any type; their exponentials' is not."""
    p = made(DiscretizedLogistic(1e-3, n_levels=256), 1, torch.float32)
    h = torch.tensor([-1.0], requires_grad=True)
    value = p.log_prob(h, torch.tensor([254.0]))
    step = 2 / 255
    exact = -(254 - 0.5) * step / 1e-3 + np.log1p(-np.exp(-step / 1e-3))
    assert float(value.detach()) == pytest.approx(exact, rel=1e-5)
    assert float(torch.autograd.grad(value, h)[0]) == pytest.approx(1000, rel=1e-3)


def test_zero_inflation_at_its_ends():
    """pi = 0 is the count alone, pi = 1 nothing but zeros."""
    h, x = normal(3), torch.tensor([0.0, 1.0, 7.0]).double()
    p = made(ZeroInflatedPoisson(), 3)
    none = p.log_prob(torch.cat([h, torch.full_like(h, -50)]), x)
    torch.testing.assert_close(none, made(Poisson(), 3).log_prob(h, x))
    every = p.log_prob(torch.cat([h, torch.full_like(h, 50)]), x)
    assert every[0] == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(every[1:], none[1:] - 50)


@pytest.mark.parametrize("part", COUNTS, ids=repr)
@pytest.mark.parametrize("dtype", FLOATS)
def test_counts_start_from_the_mean_and_are_drawn_at_any_rate(part, dtype):
    p = made(part, 4, dtype)
    mean = torch.tensor([0.0, 0.3, 7.0, 1e6], dtype=dtype)
    torch.testing.assert_close(p.mean(p.initial_output(mean)), mean.clamp(min=1e-3 * 0.9), rtol=1e-4, atol=1e-3)
    for size in (-1e4, 0.0, 1e4):
        drawn = p.sample(torch.full((5, p.n_outputs), size, dtype=dtype))
        assert p.supports(drawn).all(), drawn


def test_cells_that_are_counts():
    x = torch.tensor([[0.0, 3.0, 1e6, -1.0, 1.5, torch.inf, torch.nan]])
    assert made(Poisson(), 7).supports(x)[0].tolist() == [True, True, True, False, False, False, False]
    p = made(DiscretizedLogistic(n_levels=4), 7)
    assert p.supports(x)[0].tolist() == [True, True, False, False, False, False, False]


# ---- what the encoder sees ----------------------------------------------------------------------------------------


def test_encoder_input():
    x = torch.tensor([[0.0, 1e6, -3.0]]).double().requires_grad_()
    seen = made(Poisson(), 3).encoder_input(x)
    np.testing.assert_allclose(seen.detach()[0], [0, np.log1p(1e6), -np.log(4)], rtol=1e-12)
    assert torch.autograd.grad(seen.sum(), x)[0][0].tolist() == pytest.approx([1, 1 / (1 + 1e6), 1 / 4])
    bytes_ = made(DiscretizedLogistic(n_levels=256), 3).encoder_input(torch.tensor([0.0, 127.5, 255.0]))
    assert bytes_.tolist() == [-1, 0, 1]
    rows = torch.ones(2, 3)
    plain = made(Mixed(("gaussian", "bernoulli"), ((0, 2), (1,))), 3)
    assert plain.encoder_input(rows) is rows
    counts = made(Mixed(("gaussian", "poisson"), ((2, 0), (1,))), 3)
    np.testing.assert_allclose(counts.encoder_input(rows), rows * torch.tensor([1, np.log(2), 1]), rtol=1e-6)


def test_large_logits_keep_their_digits():
    """log sigmoid(25) is -1.39e-11; torch's softplus returns 25 for log(1 + e^25), which gives 0."""
    part, h, x = Bernoulli(), torch.tensor([[25.0]]).double(), torch.ones(1, 1).double()
    part.build(1)
    expected = -np.log1p(np.exp(-25.0))
    assert float(part.log_prob(h, x)) == pytest.approx(expected, rel=1e-3)  # 25 - 25.0000000000139
    assert float(part.row_log_prob(h, x)) == pytest.approx(expected, rel=1e-3)


def test_dynamic_binarisation():
    """A step sees other draws of mean x each time, encoder and likelihood the same."""
    x = torch.tensor([0.0, 0.3, 1.0]).repeat(20_000, 1)
    part = made(Bernoulli(binarize=True), 3)
    with seeded(0):
        first, second = part.sample_targets(x), part.sample_targets(x)
    assert set(first.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(first.mean(0), x[0], atol=0.01)  # standard error .0032
    assert 0.3 < (first[:, 1] != second[:, 1]).float().mean() < 0.54  # 2 * .3 * .7 = .42
    assert Bernoulli().sample_targets(x) is x
    mixed = made(Mixed((Bernoulli(binarize=True), "gaussian"), columns=((1,), (0, 2))), 3)
    with seeded(0):
        seen = mixed.sample_targets(x)
    assert (seen[:, [0, 2]] == x[:, [0, 2]]).all()
    assert set(seen[:, 1].unique().tolist()) == {0.0, 1.0}


def test_dynamic_binarisation_trains_on_what_the_encoder_saw():
    """A code wide enough restores the very draws: far below the entropy of the grey cells, .61 nats each."""
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


def test_counts_are_standardised_by_what_was_observed():
    x = torch.from_numpy(with_missing(np.random.default_rng(0).poisson([[1.0, 50.0, 4e5]], (40, 3)).astype(float)))
    weight = (torch.arange(40) % 3).double()
    weighted, repeated = Poisson(), Poisson()
    weighted.set_from_data(x, weight)
    repeated.set_from_data(x.repeat_interleave(weight.long(), 0))
    seen, mask = (made_again(p, 3).encoder_input(x) for p in (weighted, repeated)), ~x.isnan()
    first, second = seen
    torch.testing.assert_close(first, second, equal_nan=True)
    share = mask * weight.unsqueeze(-1)
    share = share / share.sum(0)
    torch.testing.assert_close((share * first.nan_to_num()).sum(0), torch.zeros(3).double())
    assert (share * first.nan_to_num().square()).sum(0).mean() == pytest.approx(1)
    constant = Poisson()
    constant.set_from_data(torch.full((4, 3), 7.0))
    assert (made_again(constant, 3).encoder_input(torch.full((4, 3), 7.0)) == 0).all()


def test_contraction_is_of_the_rows_and_not_of_their_logarithms():
    model = build(4, 3, likelihood=Poisson(), posterior=Point("sigmoid"))
    x = torch.tensor([[0.0, 2.0, 30.0, 0.0], [5.0, 0.0, 1.0, 400.0]]).double().repeat(5000, 1)
    weight, code = model.network.encoder[0].weight, model.q(x).mean
    slopes = (code * (1 - code)).unsqueeze(-1) * weight / (1 + x).unsqueeze(1)  # (N, K, D)
    expected = slopes.square().sum((1, 2))
    draw = EncodedBatch(model, x, model.q(x), code.unsqueeze(0), torch.ones(len(x)).double())
    torch.testing.assert_close(Contraction(method="exact")(draw), expected)
    estimates = Contraction(method="projection")(draw).reshape(5000, 2).mean(0)
    torch.testing.assert_close(estimates, expected[:2], rtol=0.05, atol=0)


# ---- mixed columns ------------------------------------------------------------------------------------------------

KINDS = Mixed(
    (Gaussian("feature"), "bernoulli", Categorical(), "poisson"),
    ((4, 0), (1,), (2, 5), (3,)),
)


def table(n=200, unit=1.0, seed=0):
    """Two numbers, a flag, a count and two categories that hang together; columns 0 and 4 in the given unit."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    z = rng.standard_normal(n)
    return np.column_stack(
        [
            unit * (50 + 10 * z + rng.standard_normal(n)),
            group == 1,
            group,
            rng.poisson(np.exp(1 + z)),
            unit * (3 * z + group + 0.3 * rng.standard_normal(n)),
            (group + (rng.random(n) < 0.1)) % 2,
        ]
    ).astype(float)


def test_mixed_is_the_sum_of_its_parts():
    p = KINDS.clone()
    x = torch.from_numpy(table())
    p.set_from_data(x)
    assert p.parts == (Gaussian("feature"), Bernoulli(), Categorical((3, 2)), Poisson())
    p = made(p, 6)
    h = normal(200, p.n_outputs)
    assert p.n_outputs == 2 + 1 + 5 + 1
    value, done = p.log_prob(h, x), 0
    for part, columns in zip(p.members, p.columns, strict=True):
        mine = h[:, done : done + part.n_outputs]
        done += part.n_outputs
        index = list(columns)
        torch.testing.assert_close(value[:, index], part.log_prob(mine, x[:, index]))
        torch.testing.assert_close(p.mean(h)[:, index], part.mean(mine))
        weight = torch.full((5, 40), 0.2).double()
        average = p.mixture_mean(h.reshape(5, 40, -1), weight)[:, index]
        torch.testing.assert_close(average, part.mixture_mean(mine.reshape(5, 40, -1), weight))
    assert p.supports(p.sample(h)).all()
    assert p.density_columns().tolist() == [True, False, False, False, True, False]
    assert not p.density
    assert p.for_column(5) is p.members[2]
    start = p.initial_output(x.mean(0))
    torch.testing.assert_close(p.mean(start)[[0, 1, 3, 4]], x.mean(0)[[0, 1, 3, 4]], rtol=1e-5, atol=1e-5)


def test_mixed_by_column():
    shared, own = Gaussian(), Gaussian()
    p = Mixed.by_column(["poisson", shared, own, "poisson", shared])
    assert p == Mixed(("poisson", shared, own), ((0, 3), (1, 4), (2,)))
    twin = serialization.decode(json.loads(json.dumps(serialization.encode(p))))
    assert twin == p == p.clone()
    assert twin != Mixed(("poisson", Laplace(), own), p.columns)
    assert eval(repr(p)) == p
    assert p.clone().parts[1] is not shared


def test_mixed_scales_each_column_as_its_likelihood_does():
    scaling = KINDS.default_scaling
    assert scaling == PerColumn(("standard", "min_max", "none", "none"), KINDS.columns)
    x = torch.from_numpy(table())
    scaling.build(6)
    scaling.set_from_data(x, torch.ones(200))
    own = Standard()
    own.build(2)
    own.set_from_data(x[:, [4, 0]], torch.ones(200))
    torch.testing.assert_close(scaling(x)[:, [4, 0]], own(x[:, [4, 0]]))
    torch.testing.assert_close(scaling(x)[:, [1, 2, 3, 5]], x[:, [1, 2, 3, 5]])
    likelihood = Mixed(("poisson", "gaussian"), ((0,), (1, 2)))
    model = build(3, likelihood=likelihood, scaling=PerColumn((Standard(), NoScaling()), ((0, 1), (2,))))
    model.scaling.set_from_data(5 * normal(20, 3), torch.ones(20))
    log_det = model.scaling.log_det()
    assert (log_det != 0).tolist() == [True, True, False]
    torch.testing.assert_close(model.log_det(), torch.tensor([0.0, float(log_det[1]), 0.0]).double())


# ---- whole fits ---------------------------------------------------------------------------------------------------


def check_fit(model, X, tmp_path):
    """Check that a fit scores, draws, fills and is saved; return its imputation of every fifth cell."""
    model.fit(X)
    score, drawn, torn = model.score_samples(X), model.sample(300, random_state=0), with_missing(X)
    support = model.model_.likelihood.supports(model.model_.scaling(torch.from_numpy(drawn)))
    assert np.isfinite(score).all()
    assert support.all()
    filled = model.impute(torn)
    assert np.isfinite(filled).all()
    assert (filled[~np.isnan(torn)] == X[~np.isnan(torn)]).all()
    assert np.isfinite(model.sample_imputations(torn, 2, random_state=0)).all()
    assert (np.isnan(model.feature_errors(torn)) == np.isnan(torn)).all()
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert again.likelihood == model.likelihood
    assert (again.score_samples(torn) == model.score_samples(torn)).all()
    assert (again.sample(3, random_state=0) == model.sample(3, random_state=0)).all()
    return filled


def error(guess, X, columns=slice(None)):
    """Return the error of filled cells, in standard deviations of their columns: about 1 for the columns' means."""
    cells = ((guess - X) / X.std(0))[:, columns]
    return np.sqrt((cells[np.isnan(with_missing(X))[:, columns]] ** 2).mean())


@pytest.mark.parametrize(
    "likelihood",
    [
        "poisson",
        "negative_binomial",
        "zero_inflated_poisson",
        ZeroInflatedNegativeBinomial("decoder"),
        "discretized_logistic",
        "laplace",
        "student_t",
    ],
    ids=str,
)
def test_digits(likelihood, digits, tmp_path):
    X = digits[:, digits.std(0) > 1]
    model = VAE(4, likelihood=likelihood, max_epochs=40, random_state=0, n_draws=20)
    filled = check_fit(model, X, tmp_path)
    assert error(filled, X) < 0.9 * error(X.mean(0), X)
    if likelihood == "discretized_logistic":
        assert model.model_.likelihood.n_levels == 17
        assert model.likelihood == "discretized_logistic"
        # p(x) is a probability: at most 1, and better than drawing a level blindly
        assert -X.shape[1] * np.log(17) < model.score(X) < 0


@pytest.mark.parametrize("dispersion", [0.0, 0.5])
def test_held_out_counts_come_near_the_truth(dispersion):
    """The counts are drawn from a model of the family: the test rows' log-probability is known."""
    rng = np.random.default_rng(0)
    weight, bias = np.array([[0.5, -0.5, 0.3, 0.2]]), np.array([[0.5, 1.0, 2.0, 5.0]])
    rate = np.exp(bias + rng.standard_normal((1500, 1)) * weight)
    if dispersion:
        rate = rate * rng.gamma(1 / dispersion, dispersion, rate.shape)
    X = rng.poisson(rate).astype(float)
    train, test = X[:1000], X[1000:]

    def log_px(z):
        rate = np.exp(bias + z * weight)
        if dispersion:
            return stats.nbinom.logpmf(test, 1 / dispersion, 1 / (1 + dispersion * rate)).sum(1)
        return stats.poisson.logpmf(test, rate).sum(1)

    nodes = stats.norm.ppf((np.arange(400) + 0.5) / 400)
    truth = np.log(np.mean([np.exp(log_px(z)) for z in nodes], axis=0)).mean()
    likelihood = "negative_binomial" if dispersion else "poisson"
    model = VAE(1, likelihood=likelihood, max_epochs=30, random_state=0).fit(train)
    assert truth - 0.1 < model.score(test) < truth + 0.02
    if dispersion:
        poisson = VAE(1, likelihood="poisson", max_epochs=10, random_state=0).fit(train)
        assert poisson.score(test) < truth - 1, "another family is told by its log-probability"


def test_student_t_is_robust_to_an_outlier():
    X = load_iris().data.copy()
    X[7, 1] = 300.0
    clean = np.ones(X.shape, bool)
    clean[7, 1] = False
    errors = {}
    for name in ("gaussian", "student_t"):
        model = VAE(2, likelihood=name, max_epochs=80, random_state=0).fit(X)
        errors[name] = np.abs(model.reconstruct(X) - X)[clean].mean()
    assert errors["student_t"] < 0.8 * errors["gaussian"]
    assert model.feature_errors(X).argmax() == 7 * 4 + 1


def test_mixed_table(tmp_path):
    X = table()
    model = VAE(2, likelihood=KINDS, max_epochs=100, random_state=0, n_draws=50)
    filled = check_fit(model, X, tmp_path)
    assert model.likelihood == KINDS, "what the user passed is never changed"
    assert model.model_.likelihood.parts[2] == Categorical((3, 2))
    categories = np.isnan(with_missing(X)) & np.isin(np.arange(6), (2, 5))
    assert (filled == X)[categories].mean() > 0.7  # 0.5 for the commonest
    assert error(filled, X, [0, 4]) < 0.8
    drawn = model.sample(2000, random_state=0)
    assert (np.abs(drawn.mean(0) - X.mean(0)) < 0.25 * X.std(0)).all()
    assert set(drawn[:, 2]) == {0, 1, 2}
    assert ((drawn[:, 2] == 1) == drawn[:, 1]).mean() > 0.8, "the group decides the flag, and a draw knows it"


def test_mixed_table_with_missing_cells():
    X, torn = table(), with_missing(table())
    model = VAE(2, likelihood=KINDS, max_epochs=100, random_state=0, n_draws=20).fit(torn)
    filled = model.impute(torn)
    assert np.isfinite(model.score_samples(torn)).all()
    categories = np.isnan(torn) & np.isin(np.arange(6), (2, 5))
    assert (filled == X)[categories].mean() > 0.6  # 0.5 for the commonest
    assert error(filled, X, [0, 4]) < 0.5
    assert set(filled[:, 2]) == {0, 1, 2}
    assert (filled[:, 3] >= 0).all()


def test_units_of_a_table_change_log_p_by_their_logarithm():
    errors, histories = [], []
    for unit in (1.0, 1024.0):
        X = table(unit=unit)
        model = VAE(2, likelihood=KINDS, max_epochs=3, random_state=0, precision="float64").fit(X)
        errors.append(model.feature_errors(X))
        histories.append([record["loss"] for record in model.history_])
    assert histories[0] == histories[1]
    shift = np.broadcast_to(np.log(1024) * np.array([1, 0, 0, 0, 1, 0]), X.shape)
    np.testing.assert_allclose(errors[1] - errors[0], shift, atol=1e-9)


def test_other_estimators_take_counts():
    X = np.random.default_rng(0).poisson(np.exp(3 * np.random.default_rng(1).random((60, 5)))).astype(float)
    for model in (
        DenoisingAutoencoder(2, likelihood="poisson", max_epochs=2, random_state=0),
        ContractiveAutoencoder(2, likelihood="negative_binomial", max_epochs=2, random_state=0),
    ):
        assert np.isfinite(model.fit(X).score(X))
        assert np.isfinite(model.impute(with_missing(X))).all()
    model = VAE(2, likelihood="negative_binomial", max_epochs=2, random_state=0).fit(np.append(X, 1e6 * X, axis=0))
    assert np.isfinite(model.score_samples(1e6 * X)).all()


@pytest.mark.parametrize(
    ("likelihood", "value", "message"),
    [
        ("poisson", 1.5, r"Poisson\(\) takes only values that are whole numbers of at least 0"),
        ("negative_binomial", -1.0, "whole numbers of at least 0.*'gaussian' takes any number"),
        (DiscretizedLogistic(n_levels=9), 9.0, "that are whole numbers from 0 to n_levels - 1"),
        (Mixed(("gaussian", "poisson"), ((0, 1), (2, 3))), 1.5, "column 2, and likelihood"),
    ],
)
def test_cells_outside_the_support(likelihood, value, message):
    X = np.random.default_rng(0).integers(0, 9, (30, 4)).astype(float)
    model = VAE(2, likelihood=likelihood, max_epochs=1, random_state=0).fit(X)
    X[3, 2] = value
    with pytest.raises(ValueError, match=message):
        model.score_samples(X)
    with pytest.raises(ValueError, match=f"X has {value:g} in row 3, column 2.*"):
        VAE(2, likelihood=likelihood, max_epochs=1).fit(X)


def test_columns_that_do_not_fit_the_table():
    likelihood = Mixed.by_column(["gaussian", "poisson"])
    with pytest.raises(ValueError, match="each of the 3 columns"):
        VAE(2, likelihood=likelihood, max_epochs=1).fit(np.ones((5, 3)))
