"""Estimators in threads and processes: the bits are those of a single thread."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.datasets import load_iris
from torch import nn

from isthmus import VAE, DenoisingAutoencoder
from isthmus._random import seeded
from isthmus.corruptions import Corruption, Masking

X = load_iris().data
QUICK = {"max_epochs": 3, "hidden_layer_sizes": (4,), "early_stopping": False}


@dataclass(eq=False, repr=False)
class OwnNoise(Corruption):
    """Draws as users' own parts do, without a generator."""

    def forward(self, x):
        return x + 0.1 * torch.randn_like(x) + torch.distributions.Gamma(torch.ones_like(x), 1.0).sample()


@dataclass(eq=False, repr=False)
class Dropout(Corruption):
    """Draws by a function that takes no generator."""

    def forward(self, x):
        return nn.functional.dropout(x, 0.3)


def denoising(seed, corruption="masking"):
    return DenoisingAutoencoder(2, corruption=corruption, random_state=seed, **QUICK)


def parameters(model):
    return b"".join(p.detach().numpy().tobytes() for p in model.model_.parameters())


@pytest.fixture
def drawing():
    """A thread that draws from torch's default generator all the time."""
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            torch.randn(3)

    thread = threading.Thread(target=draw)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("corruption", ["gaussian_noise", OwnNoise()], ids=["own", "a user's"])
def test_another_thread_that_draws_does_not_change_a_fit(drawing, corruption):
    first, second = (parameters(denoising(0, corruption).fit(X)) for _ in range(2))
    assert first == second


def test_another_thread_that_draws_does_not_change_samples(drawing):
    model = VAE(2, random_state=0, **QUICK).fit(X)
    assert np.array_equal(model.sample(50, random_state=0), model.sample(50, random_state=0))
    assert np.array_equal(model.score_samples(X), model.score_samples(X))


@pytest.mark.parametrize("corruption", [Masking(), Dropout()], ids=["own", "dropout"])
def test_fits_in_threads_are_those_of_one_thread(corruption):
    alone = [parameters(denoising(seed, corruption).fit(X)) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        together = pool.map(lambda seed: parameters(denoising(seed, corruption).fit(X)), range(3))
        assert list(together) == alone


@pytest.mark.parametrize("corruption", [Masking(), OwnNoise(), Dropout()], ids=["own", "a user's", "dropout"])
def test_a_fit_leaves_the_default_generator(corruption):
    before = torch.get_rng_state()
    denoising(0, corruption).fit(X)
    assert torch.equal(torch.get_rng_state(), before)


def test_draws_of_a_block_belong_to_its_thread():
    with ThreadPoolExecutor(1) as pool, seeded(0):
        inside = torch.randn(3)
        state = pool.submit(torch.get_rng_state).result()
        pool.submit(torch.randn, 3).result()
        assert not torch.equal(pool.submit(torch.get_rng_state).result(), state)  # that thread drew from the default
        with seeded(1):
            torch.randn(3)
        more = torch.randn(3)
    assert torch.equal(torch.cat([inside, more]), torch.randn(6, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(scope="module")
def model():
    return VAE(2, random_state=0, **QUICK).fit(X)


def test_transform_in_eight_threads(model):
    alone = model.transform(X)
    with ThreadPoolExecutor(8) as pool:
        assert all(np.array_equal(codes, alone) for codes in pool.map(model.transform, [X] * 32))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_transform_in_forked_workers(model):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        assert all(np.array_equal(codes, model.transform(X)) for codes in pool.map(model.transform, [X] * 4))


def test_fit_and_transform_in_a_worker_of_joblib(model):
    """As in a search with n_jobs=2."""
    with get_reusable_executor(max_workers=1) as pool:
        assert np.array_equal(pool.submit(model.transform, X).result(), model.transform(X))
        fitted = pool.submit(clone(model).fit, X).result()
    np.testing.assert_allclose(fitted.transform(X), model.transform(X), rtol=1e-3, atol=1e-4)


@pytest.mark.slow  # starts a Python of its own, which imports everything
def test_transform_in_a_spawned_worker(model):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert np.array_equal(pool.submit(model.transform, X).result(), model.transform(X))
