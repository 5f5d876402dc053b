"""Steps that are recorded once and replayed, with a stand-in for the CUDA graph that runs on any machine."""

import pytest
import torch
from sklearn.datasets import load_digits

from isthmus import VAE
from isthmus._batch import Batch
from isthmus.data.loaders import InMemoryLoader
from isthmus.engine import loop
from isthmus.engine.capture.captured_step import CapturedStep
from isthmus.engine.capture.cuda_graph import capture_cuda_graph
from isthmus.penalties import Warmup
from regression import Regression, fit, rows

X = load_digits().data[:300]


@pytest.fixture(autouse=True)
def short_runs(monkeypatch):
    """Let short runs be recorded."""
    monkeypatch.setattr(loop, "MIN_STEPS", 0)


class StandIn:
    """Records as a CUDA graph does: the step runs on one batch, into which the others are copied."""

    def __init__(self, fails=False):
        self.recorded, self.replayed, self.fails = 0, 0, fails

    def __call__(self, step, batch, progress):
        self.recorded += 1
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing\nsecond line")
        own = Batch(*(None if field is None else field.clone() for field in batch))

        def again(batch, progress):
            self.replayed += 1
            for mine, field in zip(own, batch, strict=True):
                if mine is not None:
                    mine.copy_(field)
            return step(own, progress)

        return again(batch, progress), again


@pytest.mark.parametrize("n", [64, 50])  # the last batch of 50 rows is padded
def test_replayed_steps_are_the_steps(n):
    record = StandIn()
    (plain, expected), (history, found) = (
        fit(Regression(noise=0.1, ridge=0.1), InMemoryLoader(rows(n), 16), schedule=lambda p: 1 - p / 2, capture=how)
        for how in (None, record)
    )
    assert (record.recorded, record.replayed) == (1, 3 * 4 - 3)
    for a, b in zip(history, plain, strict=True):
        assert a["loss"] == b["loss"]
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


def test_what_cannot_be_recorded_is_taken_as_it_is():
    _, expected = fit(Regression(), InMemoryLoader(rows(64), 16))
    with pytest.warns(
        UserWarning, match="cannot be recorded and are taken one by one: operation not permitted"
    ) as told:
        _, found = fit(Regression(), InMemoryLoader(rows(64), 16), capture=StandIn(fails=True))
    assert len(told) == 1
    assert "second line" not in str(told[0].message)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_batches_of_other_shapes_are_not_replayed():
    record = StandIn()
    replay = CapturedStep(lambda batch, progress: batch.x.sum() + progress, record, torch.device("cpu"))
    for n in (2, 2, 2, 2, 3, 2):
        batch = Batch(torch.full((n, 2), float(n)), torch.ones(n))
        assert replay(batch, 0.5) == 2 * n * n + 0.5
    masked = Batch(torch.ones(2, 2), torch.ones(2), mask=torch.ones(2, 2))
    assert replay(masked, 0.25) == 4.25
    assert record.replayed == 2


def test_a_short_run_is_not_recorded(monkeypatch):
    monkeypatch.setattr(loop, "MIN_STEPS", 13)
    for n_epochs, recorded in ((3, 0), (4, 1)):
        record = StandIn()
        fit(Regression(), InMemoryLoader(rows(64), 16), n_epochs=n_epochs, capture=record)
        assert record.recorded == recorded


def test_several_parts_are_not_recorded():
    record = StandIn()
    fit(Regression(), InMemoryLoader(rows(64), 16, multiple=2), gradient_accumulation=2, capture=record)
    assert record.recorded == 0


def test_a_loss_that_is_not_finite_is_found_among_replayed_steps():
    class Breaks(Regression):
        def forward(self, batch, progress=1.0):
            terms = super().forward(batch, progress)
            terms.values["error"] = torch.where(torch.as_tensor(progress) > 0.7, torch.nan, terms.values["error"])
            return terms

    with pytest.raises(FloatingPointError, match=r"epoch 3, step 2: error is not finite"):
        fit(Breaks(), InMemoryLoader(rows(64), 16), n_epochs=3, capture=StandIn())


def test_an_estimator_s_steps(monkeypatch):
    """The whole formula, with a weight that warms up: as a GPU would record it, but for the graph."""
    fields = {"hidden_layer_sizes": (8,), "max_epochs": 2, "random_state": 0, "beta": Warmup(1.0, over=0.5)}
    plain = VAE(2, **fields).fit(X)
    record = StandIn()
    monkeypatch.setattr("isthmus.estimators._base.choose_capture", lambda *_: record)
    replayed = VAE(2, compile=True, **fields).fit(X)
    assert record.replayed == 2 * 3 - 3
    for a, b in zip(plain.history_, replayed.history_, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_a_cuda_graph():
    device = torch.device("cuda")
    weight = torch.ones(3, device=device)

    def step(batch, progress):
        weight.add_(progress * torch.randn(3, device=device))
        return batch.x @ weight

    replay = CapturedStep(step, capture_cuda_graph, device)
    torch.cuda.manual_seed(0)
    batches = [Batch(torch.full((2, 3), float(i), device=device), torch.ones(2, device=device)) for i in range(6)]
    found = torch.stack([replay(batch, 0.5) for batch in batches])
    weight.fill_(1)
    torch.cuda.manual_seed(0)
    expected = torch.stack([step(batch, 0.5) for batch in batches])
    torch.testing.assert_close(found, expected)
