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
from scipy.special import xlog1py, xlogy

from isthmus import VAE
from isthmus.evaluation import log_marginal_estimate
from isthmus.likelihoods import Bernoulli
from isthmus.networks import MLP
from isthmus.objectives import ImportanceWeighted
from isthmus.penalties import Warmup

TASK = "nats per image"
PLAIN, VAMP, IWAE = "VAE", "VAE, VampPrior", "VAE, IWAE-5"
BASE: dict[str, Any] = {
    "n_components": 40,
    "hidden_layer_sizes": (512, 256),
    "network": MLP(activation="relu"),
    "likelihood": Bernoulli(binarize=True),
    "batch_size": 128,
    "learning_rate": 2e-3,
    "beta": Warmup(1.0, over=0.2),
}
VARIANTS: dict[str, dict[str, Any]] = {
    PLAIN: BASE,
    VAMP: BASE | {"prior": "vamp_prior"},
    IWAE: BASE | {"objective": ImportanceWeighted(n_draws=5)},
}
CANDIDATES: dict[str, dict[str, Any]] = {
    "784-512-256-40, ReLU": BASE,
    "784-512-256-40, SiLU": BASE | {"network": MLP(activation="silu")},
    "784-512-256-20, ReLU": BASE | {"n_components": 20},
    "784-512-256-40, ReLU, no warm-up": BASE | {"beta": 1.0},
    "784-512-256-40, ReLU, VampPrior": VARIANTS[VAMP],
}


class Rows(NamedTuple):
    """Grey training rows, and validation and test rows that are 0 or 1."""

    train: Array
    valid: Array
    test: Array
    grey: Array  # the test rows before binarisation


def rows(data: Images) -> Rows:
    """Binarise validation and test rows once, as the published code does: one legacy generator, in this order."""
    rng = np.random.RandomState(777)
    valid, test = (rng.binomial(1, grey.astype(np.float64)).astype(np.float32) for grey in (data.valid, data.test))
    return Rows(data.train, valid, test, data.test)


def ours(split: Rows, test: Array, seed: int, fields: dict[str, Any], epochs: int, draws: tuple[int, int, int]) -> Run:
    model, seconds, parameters = fitted(VAE(max_epochs=epochs, random_state=seed, **fields), split.train)
    return Run(values_of(model, test, *draws) | {"epochs": float(model.n_iter_)}, seconds, parameters)


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
    grey = split.grey.astype(np.float64)
    floor = float(np.mean((xlogy(grey, grey) + xlog1py(1 - grey, -grey)).sum(1)))
    yield Entry.of(TASK, "negative entropy of the binarisation", "limit", [Run({"log p": floor}, 0.0, 0)])


def measure(options: Options) -> Iterator[Entry]:
    split = rows(images(options))
    yield from limits(split)
    epochs = options.pick(quick=2, short=60, full=500)
    draws = options.pick(quick=(5, 20, 20), short=(100, 5000, 200), full=(5000, 5000, len(split.test)))
    for model, fields in VARIANTS.items() if options.form == "full" else [(PLAIN, BASE)]:
        runs = [ours(split, split.test, s, fields, epochs, draws) for s in options.seeds]
        yield Entry.of(TASK, model, "ours", runs)


def tune(options: Options) -> Iterator[Entry]:
    split = rows(images(options))
    epochs = options.pick(quick=1, short=4, full=100)
    for model, fields in CANDIDATES.items():
        test = split.valid[: options.pick(quick=50, short=2000, full=10_000)]
        run = ours(split, test, 0, fields, epochs, (50, 50, len(test)))
        yield Entry.of(f"{TASK}, {epochs} epochs, 50 draws", model, "tried", [run])


def judge(found: Found) -> list[Bar]:
    loss = {e.model: -e.mean("log p") for e in found.entries if e.role == "ours"}
    floor = -next(e.mean("log p") for e in found.entries if "binarisation" in e.model)
    bars = [Bar("above the entropy floor (sanity check)", PLAIN, loss[PLAIN], floor, higher=True)]
    if VAMP not in loss:
        return [*bars, Bar("a 10-minute run: 232 nats", PLAIN, loss[PLAIN], 232.0)]
    best = min((VAMP, IWAE), key=loss.__getitem__)
    return [
        *bars,
        Bar("229.7 nats", PLAIN, loss[PLAIN], 229.7),
        Bar("228.7 nats, the published VAE", PLAIN, loss[PLAIN], 228.7, aim=True),
        Bar("VampPrior or IWAE-5: 227.4 nats", best, loss[best], 227.4),
    ]


BENCHMARK = Benchmark("likelihood", measure, judge, tune, first_seed=1)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
