"""Fixtures and settings that several tests share."""

import os

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


@pytest.fixture(scope="session")
def digits():
    """The first 200 of scikit-learn's digits."""
    from sklearn.datasets import load_digits  # here, since the process that hands out the tests needs none of it

    return load_digits().data[:200]


@pytest.fixture
def any_processor(monkeypatch):
    """Let bf16 train on a processor without bf16 arithmetic, slowly."""
    monkeypatch.setattr("isthmus.estimators._check_fields.check_precision", lambda *_: None)
