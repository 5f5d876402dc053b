"""Losses, gradients and parameters that are not finite."""

import math

import pytest
import torch

from isthmus.data.loaders import InMemoryLoader
from isthmus.engine import NonFiniteError
from regression import Named, Regression, fit, rows, same, training_loop


class Breaking(Regression):
    """A regression of which one term, or only its gradient, is not finite in one step."""

    def __init__(self, step, how):
        super().__init__(0.1)
        self.step, self.how = step, how

    def forward(self, batch, weights):
        terms = super().forward(batch, weights)
        bad = math.isclose(weights[0], self.step / 12)
        extra = torch.zeros(len(batch.x)).double()
        if bad and self.how == "gradient":
            extra = (0 * self.weight.sum()).sqrt().expand(len(batch.x))
        elif bad:
            extra = extra + float(self.how)
        return Named(terms.values | {"extra": extra})


@pytest.mark.parametrize("how", ["nan", "inf", "-inf", "gradient"])
@pytest.mark.parametrize("step", [0, 1, 5, 11])
def test_training_stops_before_a_step_that_is_not_finite(step, how):
    """In 12 steps of 3 epochs: the error says which, and the parameters are those before it."""
    source = InMemoryLoader(rows(), 13)
    broken = Breaking(step, how)
    with pytest.raises(NonFiniteError) as caught:
        fit(broken, source)
    error = caught.value
    assert (error.epoch, error.step) == (step // 4 + 1, step % 4 + 1)
    assert error.term == ("the gradient" if how == "gradient" else "extra")
    assert f"epoch {error.epoch}, step {error.step}" in str(error)
    assert isinstance(error, FloatingPointError)
    assert len(error.batch.x) == 13

    class Stopping(Breaking):
        def forward(self, batch, weights):
            if math.isclose(weights[0], step / 12):
                raise InterruptedError
            return super().forward(batch, weights)

    good = Stopping(-1, how)
    with pytest.raises(InterruptedError):
        fit(good, source)
    assert same(broken.parameters(), good.parameters())


def test_training_can_continue_after_a_failure():
    source = InMemoryLoader(rows(), 13)
    broken = Breaking(5, "nan")
    own = training_loop(broken)
    with pytest.raises(NonFiniteError):
        own.fit(source, first_epoch=0, n_epochs=3)
    broken.step = -1
    assert math.isfinite(own.fit(source, first_epoch=1, n_epochs=1)[0]["loss"])


def test_a_step_that_is_finite_when_it_is_repeated():
    """As on a device whose sums differ from run to run."""

    class Once(Regression):
        def forward(self, batch, weights):
            terms = super().forward(batch, weights)
            if len(self.seen) == 3:
                terms.values["error"] = terms.values["error"] * torch.nan
            return terms

    with pytest.raises(FloatingPointError, match="epoch 1: .* is finite when the epoch is run again"):
        fit(Once(), InMemoryLoader(rows(), 13))


def test_a_validation_loss_that_is_not_finite():
    held = rows(10)._replace(c=torch.full((10, 1), torch.inf).double())
    with pytest.raises(FloatingPointError, match="after epoch 1: the validation loss is not finite. Look for extreme"):
        fit(Regression(), InMemoryLoader(rows(), 13), more={"validation": InMemoryLoader(held, 10)})
