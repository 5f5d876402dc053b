"""Data that several tests look at."""

import pytest
from sklearn.datasets import load_digits


@pytest.fixture(scope="session")
def digits():
    """The first 200 of scikit-learn's digits."""
    return load_digits().data[:200]


@pytest.fixture
def any_processor(monkeypatch):
    """Let bf16 train on a processor without bf16 arithmetic, slowly."""
    monkeypatch.setattr("isthmus.estimators._base.check_precision", lambda *_: None)
