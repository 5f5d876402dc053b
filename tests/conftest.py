"""Fixtures and settings that several tests share."""

import pytest
from hypothesis import settings
from sklearn.datasets import load_digits

settings.register_profile("isthmus", derandomize=True, database=None, deadline=None, max_examples=50)
settings.load_profile("isthmus")


@pytest.fixture(scope="session")
def digits():
    """The first 200 of scikit-learn's digits."""
    return load_digits().data[:200]


@pytest.fixture
def any_processor(monkeypatch):
    """Let bf16 train on a processor without bf16 arithmetic, slowly."""
    monkeypatch.setattr("isthmus.estimators._base.check_precision", lambda *_: None)
