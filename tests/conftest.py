"""Fixtures and settings that several tests share."""

import copy
import os

import joblib
import pytest
from hypothesis import settings

settings.register_profile("isthmus", derandomize=True, database=None, deadline=None, max_examples=50)
settings.load_profile("isthmus")


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """Write files without syncing them: they need not survive a power cut, and a busy disk takes seconds a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def linear_models_are_kept():
    """Fit the linear model from which training starts once to the same samples: of a short fit it is the longest part.

    It depends on its arguments alone, as tests/initialization/test_linear_model.py shows.
    """
    from isthmus.estimators import _linear_start

    fit, kept = _linear_start.fit_linear_model, {}

    def fit_once(x, weight, **options):
        key = joblib.hash((x, weight, options))
        if key not in kept:
            kept[key] = fit(x, weight, **options)
        return copy.deepcopy(kept[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_linear_start, "fit_linear_model", fit_once)
        yield


@pytest.fixture(scope="session")
def digits():
    """The first 200 of scikit-learn's digits."""
    from sklearn.datasets import load_digits  # here, since the process that hands out the tests needs none of it

    return load_digits().data[:200]


@pytest.fixture
def any_processor(monkeypatch):
    """Let bf16 train on a processor without bf16 arithmetic, slowly."""
    monkeypatch.setattr("isthmus.estimators._check_fields.check_precision", lambda *_: None)
