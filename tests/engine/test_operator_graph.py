"""Steps that are run from the tape are the plain ones, bit for bit: for every part that there is, draws included."""

import pytest
import torch
from torch import nn

from cases import CORRUPTIONS, LIKELIHOODS, NETWORKS, OBJECTIVES, PENALTIES, POSTERIORS, PRIORS
from isthmus import VAE, ConditionalVAE
from isthmus._batch import Batch
from isthmus._random import seeded
from isthmus.corruptions import NoCorruption
from isthmus.data.loaders import InMemoryLoader
from isthmus.engine import capture, loop
from isthmus.engine.capture.operator_graph import capture_operator_graph
from isthmus.engine.schedules import one_cycle
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.objectives import PenalizedLikelihood, TrainingLoss
from isthmus.penalties import KL, Warmup
from models import build, normal
from regression import Regression, rows, trainer

N, BATCH, EPOCHS = 22, 4, 2  # the last batch is padded


class Spy:
    """The tape, and how often it was written and read."""

    def __init__(self):
        self.written, self.refused, self.read = 0, 0, 0

    def __call__(self, step, batch, progress):
        result, again = capture_operator_graph(step, batch, progress)
        if again is None:
            self.refused += 1
            return result, None
        self.written += 1

        def counted(batch, progress):
            self.read += 1
            return again(batch, progress)

        return result, counted


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """Let short runs be recorded."""
    monkeypatch.setattr(loop, "MIN_STEPS", 0)


def trained(make, batch, record=None, **fields):
    objective = make()
    history = trainer(objective, schedule=one_cycle, learning_rate=0.01, capture=record, **fields).fit(
        InMemoryLoader(batch, BATCH), first_epoch=0, n_epochs=EPOCHS
    )
    return history, objective.state_dict()


def assert_the_same(make, batch, **fields):
    """Train plainly and from the tape; the steps, and all that they leave, are equal to the bit."""
    spy = Spy()
    (plain, expected), (history, found) = (trained(make, batch, how, **fields) for how in (None, spy))
    assert (spy.written, spy.read) == (1, EPOCHS * 6 - 4)
    for a, b in zip(plain, history, strict=True):
        assert a | {"seconds": 0} == b | {"seconds": 0}
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def formula(batch, n_conditions=0, objective=None, corruption=None, penalties=(), dtype=torch.float64, **parts):
    def make():
        model = build(batch.x.shape[1], 3, n_conditions=n_conditions, **parts).to(dtype)
        own = corruption.clone() if corruption else NoCorruption()
        own.build(batch.x)
        return TrainingLoss(model, (objective or PenalizedLikelihood()).clone(), own, [p.clone() for p in penalties])

    return make


def batch_of(x, n_conditions=0, mask=False, dtype=torch.float64):
    weight = torch.linspace(0.5, 1.5, len(x)).to(dtype)
    c = normal(len(x), n_conditions, seed=3).to(dtype) if n_conditions else None
    return Batch(x.to(dtype), weight, c, (normal(*x.shape, seed=4) > -1).to(dtype) if mask else None)


@pytest.mark.parametrize(("mask", "dtype"), [(False, torch.float32), (True, torch.float64)], ids=["whole", "holes"])
@pytest.mark.parametrize("case", LIKELIHOODS, ids=lambda case: repr(case.part))
def test_likelihood(case, mask, dtype):
    part = case.part.clone()
    part.build(case.n_features)
    with seeded(0), torch.no_grad():
        x = part.sample(normal(N, part.n_outputs))
    batch = batch_of(x, mask=mask, dtype=dtype)
    assert_the_same(formula(batch, likelihood=case.part, network=MLP((5,)), penalties=[KL()], dtype=dtype), batch)


@pytest.mark.parametrize("part", POSTERIORS, ids=repr)
def test_posterior(part):
    batch = batch_of(normal(N, 4))
    assert_the_same(formula(batch, posterior=part), batch)


@pytest.mark.parametrize(("part", "n_conditions"), PRIORS, ids=repr)
def test_prior(part, n_conditions):
    batch = batch_of(normal(N, 4), n_conditions)
    make = formula(batch, n_conditions, prior=part, penalties=[KL(Warmup(2.0, over=0.5))])
    assert_the_same(make, batch)


@pytest.mark.parametrize("part", CORRUPTIONS, ids=repr)
def test_corruption(part):
    batch = batch_of(normal(N, 4), mask=not part.input_mask)
    make = formula(batch, corruption=part)

    def masked():
        made = make()
        if part.input_mask:
            made.model.network = MLP((6,))
            with seeded(1):
                made.model.build(4, 3, masked=True)
        return made.double()

    assert_the_same(masked, batch)


@pytest.mark.parametrize(("part", "sizes"), NETWORKS, ids=repr)
def test_network(part, sizes):
    batch = batch_of(normal(N, sizes.n_features), sizes.n_conditions)
    assert_the_same(formula(batch, sizes.n_conditions, network=part, likelihood=Gaussian()), batch)


@pytest.mark.parametrize(("part", "posterior"), PENALTIES, ids=repr)
def test_penalty(part, posterior):
    batch = batch_of(normal(N, 4))
    make = formula(batch, network=MLP((5,), activation="tanh"), posterior=posterior, penalties=[part])
    assert_the_same(make, batch)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_objective(objective):
    batch = batch_of(normal(N, 4))
    assert_the_same(formula(batch, objective=objective), batch)


def test_rates_of_their_own():
    batch = batch_of(normal(N, 4))
    make = formula(batch)
    n = len([p for p in make().parameters() if p.requires_grad])
    assert_the_same(make, batch, lr_multipliers=[0.25, *[1.0] * (n - 1)], weight_decay=0.1)


def test_bf16():
    batch = batch_of(normal(N, 4), dtype=torch.float32)
    make = formula(batch, network=MLP((5,)), dtype=torch.float32)
    spy, found = Spy(), []
    for how in (None, spy):
        objective = make()
        half = list(objective.model.network.parameters())
        trainer(objective, capture=how, bf16_parameters=half).fit(
            InMemoryLoader(batch, BATCH), first_epoch=0, n_epochs=EPOCHS
        )
        found.append([p.detach().clone() for p in objective.parameters()])
    assert spy.read > 0
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


class Reads(nn.Module):
    """A net whose way hangs on numbers that it computes."""

    def __init__(self, how):
        super().__init__()
        self.inner, self.how = Regression(), how

    def forward(self, batch, progress=1.0):
        terms = self.inner(batch, progress)
        return terms._replace(values={name: self.how(value) for name, value in terms.values.items()})


def by_item(value):
    return value * 2 if float(value.detach().mean()) > 1 else value


def by_mask(value):
    return torch.cat([value[value > 1], value[~(value > 1)]])


@pytest.mark.parametrize("how", [by_item, by_mask])
def test_what_hangs_on_numbers_is_not_written_down(how):
    spy = Spy()
    (plain, expected), (history, found) = (trained(lambda: Reads(how), rows(N), record) for record in (None, spy))
    assert (spy.written, spy.refused) == (0, 1)
    assert [a["loss"] for a in plain] == [b["loss"] for b in history]
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_draws_that_nothing_is_made_of_are_drawn():
    """The next draw hangs on them."""

    class Wasteful(Regression):
        def forward(self, batch, progress=1.0):
            torch.randn(7)
            return super().forward(batch, progress)

    assert_the_same(lambda: Wasteful(noise=0.3), rows(N))


class Blend(nn.Module):
    """What an objective may do to memory: copies that are written to, numbers that are made and then changed."""

    def __init__(self):
        super().__init__()
        self.inner = Regression()
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def forward(self, batch, progress=1.0):
        terms = self.inner(batch, progress)
        error = terms.values["error"]
        copy = error.detach().clone()
        copy.mul_(2)
        counter = torch.tensor(0.0, dtype=torch.float64)
        counter.add_(copy.sum() - error.detach().sum())
        self.seen += counter
        into = torch.empty_like(error)
        into.copy_(error.detach())
        into.add_(1)
        kept = torch.empty_like(copy).copy_(copy)
        copy.zero_()
        into.unsqueeze_(1).add_(1)
        into.squeeze_(1)
        extra = 0.01 * (self.seen + into + kept).mean() * self.inner.weight.square().sum()
        return terms._replace(values=terms.values | {"extra": extra.expand(len(error))})


def test_memory_that_is_written_to_twice():
    assert_the_same(Blend, rows(N))


def test_parameters_that_a_callback_moves_are_the_ones_that_are_trained():
    def swap(objective):
        def callback(record):
            if record["epoch"] == 2:
                with torch.no_grad():
                    vector = nn.utils.parameters_to_vector(objective.parameters())
                    nn.utils.vector_to_parameters(0.5 * vector, objective.parameters())  # into memory of their own

        return callback

    spy, found = Spy(), []
    for how in (None, spy):
        objective = Regression(noise=0.1)
        engine = trainer(objective, capture=how)
        engine.fit(InMemoryLoader(rows(N), BATCH), first_epoch=0, n_epochs=4, callbacks=[swap(objective)])
        found.append([p.detach().clone() for p in objective.parameters()])
    assert spy.written == 2
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


# ---- estimators ---------------------------------------------------------------------------------------------------


def written_by(monkeypatch, fit):
    spy = Spy()
    monkeypatch.setattr(capture, "capture_operator_graph", spy)
    return fit(), spy


X = normal(60, 4).numpy()


def test_an_estimator_s_steps(monkeypatch):
    fields = {"hidden_layer_sizes": (8,), "max_epochs": 3, "batch_size": 16, "random_state": 0, "compile": True}
    captured, spy = written_by(monkeypatch, lambda: VAE(2, **fields).fit(X))
    assert (spy.written, spy.read) == (1, 3 * 4 - 4)
    plain, spy = written_by(monkeypatch, lambda: VAE(2, **fields | {"compile": False}).fit(X))
    assert spy.written == 0
    assert (captured.transform(X) == plain.transform(X)).all()


def test_parts_of_others_are_run_as_they_are(monkeypatch):
    class Tanh(MLP):
        def __init__(self):
            super().__init__((8,), activation="tanh")

    Tanh.__module__ = "mine"
    fields = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "compile": True}
    _, spy = written_by(monkeypatch, lambda: VAE(2, network=Tanh(), **fields).fit(X))
    assert spy.written == spy.refused == 0


@pytest.mark.parametrize(
    "listen",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
def test_hooks_are_called(monkeypatch, listen):
    model = VAE(2, hidden_layer_sizes=(8,), max_epochs=1, batch_size=16, random_state=0, compile=True)
    _, spy = written_by(monkeypatch, lambda: model.partial_fit(X))
    assert spy.written == 1
    getattr(model.model_.likelihood, listen)(lambda *_: None)
    _, spy = written_by(monkeypatch, lambda: model.partial_fit(X))
    assert spy.written == 0


@pytest.mark.parametrize("listen", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_of_parameters_are_called(monkeypatch, listen):
    model = VAE(2, hidden_layer_sizes=(8,), max_epochs=1, batch_size=16, random_state=0, compile=True).fit(X)
    called = []
    getattr(model.model_.network.output_bias, listen)(lambda *_: called.append(1) and None)
    _, spy = written_by(monkeypatch, lambda: model.partial_fit(X))
    assert (spy.written, len(called)) == (0, 4)


def test_a_conditional_model_s_steps(monkeypatch):
    y = (X[:, 0] > 0).astype(int)
    _, spy = written_by(
        monkeypatch, lambda: ConditionalVAE(2, max_epochs=3, batch_size=16, random_state=0, compile=True).fit(X, y)
    )
    assert spy.written == 1
