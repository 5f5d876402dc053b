"""Data that several tests look at."""

import pytest
from sklearn.datasets import load_digits


@pytest.fixture(scope="session")
def digits():
    """The first 200 of scikit-learn's digits."""
    return load_digits().data[:200]
