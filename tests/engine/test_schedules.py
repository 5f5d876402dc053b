"""Learning-rate schedules."""

import numpy as np
import pytest

from isthmus._names import UnknownNameError
from isthmus.engine import find_schedule
from isthmus.engine.schedules import constant, linear, one_cycle


@pytest.mark.parametrize("schedule", [one_cycle, linear])
def test_it_rises_and_falls(schedule):
    t = np.linspace(0, 1, 1001)
    rate = np.array([schedule(float(v)) for v in t])
    assert rate[0] == pytest.approx(0.1)
    assert t[rate.argmax()] == pytest.approx(0.1)
    assert rate.max() == pytest.approx(1.0)
    assert (np.diff(rate[:101]) > 0).all()
    assert (np.diff(rate[101:]) <= 0).all()
    assert 0 < rate[-1] <= 1e-3
    assert np.abs(np.diff(rate)).max() < 0.01
    assert constant(0.0) == constant(1.0) == 1.0


def test_schedules_by_name():
    assert find_schedule("one_cycle") is one_cycle
    assert find_schedule("linear") is linear
    with pytest.raises(UnknownNameError, match="Did you mean 'one_cycle'"):
        find_schedule("onecycle")
