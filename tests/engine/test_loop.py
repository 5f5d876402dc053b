"""The training loop, on a linear regression: it trains anything that maps a batch to named terms."""

import math
import random

import numpy as np
import pytest
import torch

from isthmus._batch import Batch
from isthmus._random import derive, seeded
from isthmus.data.loaders import InMemoryLoader
from isthmus.engine.distributed import SingleProcess
from isthmus.engine.run import TrainingRun
from isthmus.engine.schedules import one_cycle
from regression import D, N, Regression, fit, rows, same, training_loop

# ---- samples -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "batch_size"), [(50, 16), (50, 50), (50, 1000), (7, 2), (9, 4), (3, 1)])
def test_every_sample_counts_once_per_epoch(n, batch_size):
    objective, data = Regression(), rows(n)
    fit(objective, InMemoryLoader(data, batch_size), n_epochs=2)
    batches = math.ceil(n / batch_size)
    assert len(objective.seen) == 2 * batches
    assert len({len(batch.x) for batch in objective.seen}) == 1
    for epoch in (objective.seen[:batches], objective.seen[batches:]):
        seen = torch.cat([batch.x[batch.weight > 0] for batch in epoch])
        assert len(seen) == n
        torch.testing.assert_close(seen[seen[:, 0].argsort()], data.x[data.x[:, 0].argsort()], rtol=0, atol=0)
        assert all(len(batch.x) <= batch_size for batch in epoch)
    assert batches == 1 or not torch.equal(objective.seen[0].x, objective.seen[batches].x)


def test_samples_are_in_their_own_order_outside_training():
    data = rows(5)
    source = InMemoryLoader(data, 2)
    batches = list(source)
    assert len(source) == len(batches) == 3
    assert torch.equal(torch.cat([b.x for b in batches])[:5], data.x)
    assert torch.cat([b.weight for b in batches]).tolist() == [1, 1, 1, 1, 1, 0]
    assert all(torch.equal(b.c[0], data.c[2 * i]) for i, b in enumerate(batches))


def test_the_last_short_batch_is_not_dropped():
    """Padding does not count, and the other samples do."""
    data = rows(7)
    history, _ = fit(Regression(), InMemoryLoader(data, 3), n_epochs=1, learning_rate=1e-12)
    assert history[0]["loss"] == pytest.approx(float(data.c.square().mean()), rel=1e-6)


def test_the_loss_is_the_weighted_mean():
    weight = torch.arange(7).double()
    data = rows(7, weight)
    history, _ = fit(Regression(ridge=2.0), InMemoryLoader(data, 3), n_epochs=1, learning_rate=1e-12)
    expected = float(weight @ data.c[:, 0].square() / weight.sum())
    assert history[0]["error"] == pytest.approx(expected, rel=1e-6)
    assert history[0]["loss"] == pytest.approx(history[0]["error"] + history[0]["ridge"], rel=1e-12)
    source = InMemoryLoader(data, 3)
    assert training_loop(Regression()).evaluate(source) == pytest.approx(expected, rel=1e-12)


def test_weight_is_repetition_for_a_full_batch():
    count = torch.tensor([2, 0, 1, 3, 1]).long()
    data = rows(5, count.double())
    repeated = Batch(data.x.repeat_interleave(count, 0), torch.ones(7).double(), data.c.repeat_interleave(count, 0))
    results = [fit(Regression(), InMemoryLoader(d, 100), n_epochs=20)[1] for d in (data, repeated)]
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_it_learns_the_regression():
    data = rows()
    _, (weight, bias) = fit(Regression(), InMemoryLoader(data, N), n_epochs=600, schedule=one_cycle, learning_rate=0.1)
    exact = np.linalg.lstsq(np.column_stack([data.x, np.ones(N)]), data.c[:, 0].numpy(), rcond=None)[0]
    np.testing.assert_allclose([*weight, *bias], exact, atol=1e-6)


# ---- reproducible ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits():
    source = InMemoryLoader(rows(), 16)
    first, again, other = (fit(Regression(0.1), source, seed=seed) for seed in (0, 0, 1))
    assert same(first[1], again[1])
    assert not same(first[1], other[1])
    assert [r["loss"] for r in first[0]] == [r["loss"] for r in again[0]]


def test_the_results_of_steps_are_kept_in_few_tensors():
    run, rows = (
        TrainingRun(training_loop(Regression()).state, SingleProcess(), 200),
        torch.arange(600.0).reshape(200, 3),
    )
    for row in rows:
        run.end_step(row.clone(), [])
        assert len(run.rows) <= 65
    assert torch.equal(torch.cat(run.rows), rows)


def test_training_neither_depends_on_global_generators_nor_changes_them():
    source = InMemoryLoader(rows(), 16)
    first = fit(Regression(0.1), source)
    with seeded(77):
        before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
        second = fit(Regression(0.1), source, more={"validation": source})
        training_loop(Regression(0.1)).evaluate(source)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
        assert random.getstate() == before[2]
    assert [r["loss"] for r in first[0]] == [r["loss"] for r in second[0]]


def test_two_calls_give_the_epochs_of_one():
    """An epoch depends only on the seed and its number: two epochs and three more are five."""
    source = InMemoryLoader(rows(), 16)
    whole, parts = Regression(0.1), Regression(0.1)
    fit(whole, source, n_epochs=5)
    own = training_loop(parts)
    own.fit(source, first_epoch=0, n_epochs=2)
    history = own.fit(source, first_epoch=2, n_epochs=3)
    assert same(whole.parameters(), parts.parameters())
    assert [record["epoch"] for record in history] == [3, 4, 5]


def test_evaluation_draws_the_same_noise_every_time():
    own, source = training_loop(Regression(0.5)), InMemoryLoader(rows(), 16)
    own.loss.weight.data += 1
    assert own.evaluate(source) == own.evaluate(source)
    assert not own.loss.training


def test_seeds_of_streams_differ():
    streams = [(kind, epoch) for kind in (0, 1) for epoch in range(50)] + [(stream,) for stream in range(2, 8)]
    seeds = {derive(seed, *stream) for seed in range(50) for stream in streams}
    assert len(seeds) == 50 * len(streams)
    assert all(0 <= seed < 2**63 for seed in seeds)


# ---- stopping ----------------------------------------------------------------------------------------------------


def test_early_stopping_restores_the_best_parameters():
    """The samples held out follow other coefficients: their loss falls, and rises again."""
    source, other = InMemoryLoader(rows(), 16), rows(30, seed=5)
    held = InMemoryLoader(other._replace(c=0.5 * other.c), 16)
    objective, states = Regression(), []
    own = training_loop(objective)
    keep = [lambda _: states.append([p.detach().clone() for p in objective.parameters()])]
    history = own.fit(source, first_epoch=0, n_epochs=300, validation=held, patience=7, callbacks=keep)
    losses = [record["validation_loss"] for record in history]
    best = int(np.argmin(losses))
    assert 0 < best < 290
    assert len(history) == best + 1 + 7
    assert same(objective.parameters(), states[best])
    assert own.evaluate(held) == losses[best]


def test_the_best_parameters_are_restored_if_training_ends_before_patience_does():
    objective, source = Regression(), InMemoryLoader(rows(), 16)
    held = InMemoryLoader(rows()._replace(c=-rows().c), 16)  # the parameters before training are the best
    before = training_loop(objective).evaluate(held)
    history = training_loop(objective).fit(source, first_epoch=0, n_epochs=5, validation=held, patience=10)
    assert len(history) == 5
    assert training_loop(objective).evaluate(held) == before < min(r["validation_loss"] for r in history)


def test_callbacks_see_every_record_and_can_stop():
    seen, after = [], []
    callbacks = [lambda record: seen.append(record["epoch"]), lambda record: record["epoch"] == 4, after.append]
    history, _ = fit(Regression(), InMemoryLoader(rows(), 16), n_epochs=50, more={"callbacks": callbacks})
    assert seen == [1, 2, 3, 4]
    assert len(history) == len(after) == 4
    assert {"epoch", "loss", "error", "ridge", "learning_rate", "seconds"} == set(history[0])


# ---- rates ----------------------------------------------------------------------------------------------


def test_progress_runs_from_0_to_nearly_1_and_the_learning_rate_follows():
    objective = Regression()
    history, _ = fit(objective, InMemoryLoader(rows(), 16), n_epochs=3, learning_rate=0.2, schedule=one_cycle)
    assert objective.progress == pytest.approx([i / 12 for i in range(12)])
    assert [r["learning_rate"] for r in history] == pytest.approx([0.2 * one_cycle(i / 12) for i in (3, 7, 11)])


def test_weight_decay_is_decoupled():
    """Where the gradient is 0, a step shrinks parameters by lr * decay and changes nothing else."""
    objective = Regression()
    data = Batch(torch.zeros(4, D).double(), torch.ones(4).double(), torch.zeros(4, 1).double())
    objective.weight.data.fill_(1.0)
    fit(objective, InMemoryLoader(data, 4), n_epochs=3, learning_rate=0.1, weight_decay=0.5)
    torch.testing.assert_close(objective.weight.detach(), torch.full((D,), 0.95**3).double())
