"""Replayed steps have the bits of eager ones, for every part that there is, random numbers included."""

import pytest
import torch

from cases import CORRUPTIONS, LIKELIHOODS, NETWORKS, OBJECTIVES, PENALTIES, POSTERIORS, PRIORS
from isthmus._batch import Batch
from isthmus._random import seeded
from isthmus.corruptions import NoCorruption
from isthmus.data.loaders import InMemoryLoader
from isthmus.engine import loop
from isthmus.engine.capture import captured_step
from isthmus.engine.capture.operator_graph import capture_operator_graph
from isthmus.engine.schedules import one_cycle
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.objectives import PenalizedLikelihood, TrainingLoss
from isthmus.penalties import KL, Warmup
from models import build, normal
from regression import Regression, rows, training_loop

N, BATCH, EPOCHS = 22, 4, 2  # the last batch is padded


class Spy:
    """Count how often a step is captured, refused and replayed."""

    def __init__(self):
        self.captured, self.refused, self.replayed = 0, 0, 0

    def __call__(self, step, batch, weights):
        result, build = capture_operator_graph(step, batch, weights)

        def counted_build():
            try:
                replay = build()
            except NotImplementedError:
                self.refused += 1
                raise
            self.captured += 1

            def counted(batch):
                self.replayed += 1
                return replay(batch)

            return counted

        return result, counted_build


@pytest.fixture
def spy(monkeypatch):
    spy = Spy()
    monkeypatch.setitem(captured_step.CAPTURES, "cpu", spy)
    return spy


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """Let short runs be captured."""
    monkeypatch.setattr(loop, "MIN_STEPS", 0)


def trained(make, batch, **fields):
    objective = make()
    history = training_loop(objective, schedule=one_cycle, learning_rate=0.01, **fields).fit(
        InMemoryLoader(batch, BATCH), first_epoch=0, n_epochs=EPOCHS
    )
    return history, objective.state_dict()


@pytest.fixture
def assert_the_same(spy):
    def check(make, batch, **fields):
        """Train with eager and with replayed steps; the records, and all that they leave, are equal to the bit."""
        (eager, expected), (history, found) = (trained(make, batch, capture=how, **fields) for how in (False, True))
        assert (spy.captured, spy.replayed) == (1, EPOCHS * 6 - 3)
        for a, b in zip(eager, history, strict=True):
            assert a | {"seconds": 0} == b | {"seconds": 0}
        for name, value in expected.items():
            assert torch.equal(value, found[name]), name

    return check


def training_loss(batch, n_conditions=0, objective=None, corruption=None, penalties=(), dtype=torch.float64, **parts):
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
def test_likelihood(assert_the_same, case, mask, dtype):
    part = case.part.clone()
    part.build(case.n_features)
    with seeded(0), torch.no_grad():
        x = part.sample(normal(N, part.n_outputs))
    batch = batch_of(x, mask=mask, dtype=dtype)
    assert_the_same(training_loss(batch, likelihood=case.part, network=MLP((5,)), penalties=[KL()], dtype=dtype), batch)


@pytest.mark.parametrize("part", POSTERIORS, ids=repr)
def test_posterior(assert_the_same, part):
    batch = batch_of(normal(N, 4))
    assert_the_same(training_loss(batch, posterior=part), batch)


@pytest.mark.parametrize(("part", "n_conditions"), PRIORS, ids=repr)
def test_prior(assert_the_same, part, n_conditions):
    batch = batch_of(normal(N, 4), n_conditions)
    make = training_loss(batch, n_conditions, prior=part, penalties=[KL(Warmup(2.0, over=0.5))])
    assert_the_same(make, batch)


@pytest.mark.parametrize("part", CORRUPTIONS, ids=repr)
def test_corruption(assert_the_same, part):
    batch = batch_of(normal(N, 4), mask=not part.input_mask)
    make = training_loss(batch, corruption=part)

    def masked():
        made = make()
        if part.input_mask:
            made.model.network = MLP((6,))
            with seeded(1):
                made.model.build(4, 3, masked=True)
        return made.double()

    assert_the_same(masked, batch)


@pytest.mark.parametrize(("part", "sizes"), NETWORKS, ids=repr)
def test_network(assert_the_same, part, sizes):
    batch = batch_of(normal(N, sizes.n_features), sizes.n_conditions)
    assert_the_same(training_loss(batch, sizes.n_conditions, network=part, likelihood=Gaussian()), batch)


@pytest.mark.parametrize(("part", "posterior"), PENALTIES, ids=repr)
def test_penalty(assert_the_same, part, posterior):
    batch = batch_of(normal(N, 4))
    make = training_loss(batch, network=MLP((5,), activation="tanh"), posterior=posterior, penalties=[part])
    assert_the_same(make, batch)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_objective(assert_the_same, objective):
    batch = batch_of(normal(N, 4))
    assert_the_same(training_loss(batch, objective=objective), batch)


def test_lr_multipliers(assert_the_same):
    batch = batch_of(normal(N, 4))
    make = training_loss(batch)
    n = len([p for p in make().parameters() if p.requires_grad])
    assert_the_same(make, batch, lr_multipliers=[0.25, *[1.0] * (n - 1)], weight_decay=0.1)


@pytest.mark.parametrize("clip", [1e-3, 1e9])
def test_gradient_clip(assert_the_same, clip):
    batch = batch_of(normal(N, 4))
    assert_the_same(training_loss(batch), batch, gradient_clip=clip)


def test_bf16(spy):
    batch = batch_of(normal(N, 4), dtype=torch.float32)
    make = training_loss(batch, network=MLP((5,)), dtype=torch.float32)
    found = []
    for how in (False, True):
        objective = make()
        half = list(objective.model.network.parameters())
        training_loop(objective, capture=how, bf16_parameters=half).fit(
            InMemoryLoader(batch, BATCH), first_epoch=0, n_epochs=EPOCHS
        )
        found.append([p.detach().clone() for p in objective.parameters()])
    assert spy.replayed > 0
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


class Reads(Regression):
    """A regression whose computation depends on the values of tensors."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, batch, weights):
        terms = super().forward(batch, weights)
        return terms._replace(values={name: self.how(value) for name, value in terms.values.items()})


def by_item(value):
    return value * 2 if float(value.detach().mean()) > 1 else value


def by_mask(value):
    return torch.cat([value[value > 1], value[~(value > 1)]])


@pytest.mark.parametrize("how", [by_item, by_mask])
def test_what_depends_on_values_is_not_captured(spy, how):
    eager, expected = trained(lambda: Reads(how), rows(N))
    with pytest.warns(UserWarning, match="run eagerly: .*what a step does depends on the values of tensors"):
        history, found = trained(lambda: Reads(how), rows(N), capture=True)
    assert (spy.captured, spy.refused) == (0, 1)
    assert [a["loss"] for a in eager] == [b["loss"] for b in history]
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_random_numbers_that_nothing_uses_are_drawn(assert_the_same):
    """The next ones depend on them."""

    class Wasteful(Regression):
        def forward(self, batch, weights):
            torch.randn(7)
            return super().forward(batch, weights)

    assert_the_same(lambda: Wasteful(noise=0.3), rows(N))


class Blend(Regression):
    """What a loss may do to memory: copies that are written to, numbers that are made and then changed."""

    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros((), dtype=torch.float64))

    def forward(self, batch, weights):
        terms = super().forward(batch, weights)
        error = terms.values["error"]
        copy = error.detach().clone()
        copy.mul_(2)
        counter = torch.tensor(0.0, dtype=torch.float64)
        counter.add_(copy.sum() - error.detach().sum())
        self.total += counter
        into = torch.empty_like(error)
        into.copy_(error.detach())
        into.add_(1)
        kept = torch.empty_like(copy).copy_(copy)
        copy.zero_()
        into.unsqueeze_(1).add_(1)
        into.squeeze_(1)
        extra = 0.01 * (self.total + into + kept).mean() * self.weight.square().sum()
        return terms._replace(values=terms.values | {"extra": extra.expand(len(error))})


def test_memory_that_is_written_to_twice(assert_the_same):
    assert_the_same(Blend, rows(N))
