"""Binary images: log p(x) in nats, by the protocol of Exemplar VAE.

Norouzi et al. (2020) train on 50,000 rows whose pixels are binarised at random in each step, and binarise validation
and test rows once, with seed 777. log p(x) is importance-weighted with 5,000 draws. In the short form all test rows
get 100 draws, and the first 200 of them 5,000 as well: "log p" is the mean over all rows plus the mean gain of these
200, "gain". Two numbers bound the task: independent pixels, and the entropy of the binarisation, which no correct
result can beat. "ESS" is the mean effective sample size of the 5,000 draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from _common import Array, Bar, Benchmark, Entry, Found, Images, Options, Run, fitted, images, main
from _settings import FIXED_VAE
from scipy.special import xlog1py, xlogy

from isthmus import VAE
from isthmus.evaluation import log_marginal_estimate
from isthmus.likelihoods import Bernoulli
from isthmus.networks import MLP
from isthmus.penalties import Warmup

TASK, MODEL = "nats per image", "VAE"
FIELDS: dict[str, Any] = FIXED_VAE | {
    "n_components": 40,
    "hidden_layer_sizes": (512, 256),
    "network": MLP(activation="relu", skip=False),
    "likelihood": Bernoulli(binarize=True),
    "batch_size": 128,
    "learning_rate": 2e-3,
    "beta": Warmup(1.0, over=0.2),
}


class Rows(NamedTuple):
    """Grey training rows, and validation and test rows that are 0 or 1."""

    train: Array
    valid: Array
    test: Array
    grey_valid: Array  # before binarisation
    grey_test: Array


def rows(data: Images) -> Rows:
    """Binarise validation and test rows once, as the published code does: one legacy generator, in this order."""
    rng = np.random.RandomState(777)
    valid, test = (rng.binomial(1, grey.astype(np.float64)).astype(np.float32) for grey in (data.valid, data.test))
    return Rows(data.train, valid, test, data.valid, data.test)


def ours(split: Rows, seed: int, epochs: int, draws: tuple[int, int, int]) -> Run:
    model, seconds, parameters = fitted(VAE(max_epochs=epochs, random_state=seed, **FIELDS), split.train)
    return Run(values_of(model, split.test, *draws) | {"epochs": float(model.n_iter_)}, seconds, parameters)


def values_of(model: Any, test: Array, few: int, many: int, n: int) -> dict[str, float]:
    """Return log p(x) with `few` draws for all rows, corrected by the gain of `many` draws on the first n."""

    def estimate(X: Array, draws: int) -> tuple[Array, Array]:
        x = model.model_.scaling(torch.from_numpy(X).double()).float()
        result = log_marginal_estimate(model.model_, x, n_draws=draws)
        return result.value.numpy(), result.effective_sample_size.numpy()

    first, effective = estimate(test[:n], many)
    if few == many:
        return {"log p": float(first.mean()), "gain": 0.0, "ESS": float(effective.mean())}
    everywhere, _ = estimate(test, few)
    gain = float(np.mean(first - everywhere[:n]))
    return {"log p": float(everywhere.mean()) + gain, "gain": gain, "ESS": float(effective.mean())}


def limits(split: Rows) -> Iterator[Entry]:
    p = np.clip(split.train.mean(0, dtype=np.float64), 1e-4, 1 - 1e-4)
    pixels = float(np.mean(split.test @ np.log(p) + (1 - split.test) @ np.log1p(-p)))
    yield Entry.of(TASK, "independent pixels", "limit", [Run({"log p": pixels}, 0.0, len(p))])
    yield Entry.of(
        TASK, "negative entropy of the binarisation", "limit", [Run({"log p": floor(split.grey_test)}, 0.0, 0)]
    )


def floor(grey: Array) -> float:
    """Return the negative entropy of the binarisation of rows, which log p(x) cannot exceed on average."""
    p = grey.astype(np.float64)
    return float(np.mean((xlogy(p, p) + xlog1py(1 - p, -p)).sum(1)))


def measure(options: Options) -> Iterator[Entry]:
    split = rows(images(options))
    yield from limits(split)
    epochs = options.pick(quick=2, short=60, full=60)
    draws = options.pick(quick=(5, 20, 20), short=(100, 5000, 200), full=(100, 5000, 2000))
    yield Entry.of(TASK, MODEL, "ours", [ours(split, seed, epochs, draws) for seed in options.seeds])


def judge(found: Found) -> list[Bar]:
    loss = -next(e.mean("log p") for e in found.entries if e.role == "ours")
    entropy = -next(e.mean("log p") for e in found.entries if "binarisation" in e.model)
    return [
        Bar("above the entropy floor (sanity check)", MODEL, loss, entropy, higher=True),
        Bar("a 10-minute run: 232 nats", MODEL, loss, 232.0),
    ]


BENCHMARK = Benchmark("likelihood", measure, judge, first_seed=1)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
