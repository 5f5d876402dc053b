"""What `score_samples` estimates: log p(x) of digits, importance-weighted and annealed.

A VAE(8) with fixed settings is fitted to scikit-learn's digits. log p(x) of test rows is estimated with increasing
numbers of draws from its posterior, unchanged and with a larger proposal scale, and by annealed importance sampling.
For samples simulated by the model itself, annealed chains in both directions bound it from below and from above. "log
p" refers to the scaled rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from _common import Bar, Benchmark, Entry, Found, Options, Run, main, stopwatch
from _settings import FIXED_VAE
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from isthmus import VAE
from isthmus.evaluation import (
    Annealing,
    Estimate,
    annealed_estimate,
    elbo,
    log_marginal_estimate,
    sandwich,
    unreliable,
)

TASK = "test digits"
MADE = "simulated digits"


def values(estimate: Estimate, reference: Estimate) -> dict[str, float]:
    """Return the distance of an estimate from the reference, its predicted bias, and the share of unreliable rows."""
    log_p = estimate.value.numpy()
    return {
        "log p": float(log_p.mean()),
        "below": float(np.mean(reference.value.numpy() - log_p)),
        "se^2 / 2": float(0.5 * estimate.standard_error.square().mean()),
        "ESS": float(estimate.effective_sample_size.mean()),
        "unreliable": len(unreliable(estimate)) / len(log_p),
    }


def measure(options: Options) -> Iterator[Entry]:
    X = load_digits().data
    train, test = train_test_split(X, test_size=450, random_state=0)
    n = options.pick(quick=10, short=60, full=450)
    epochs = options.pick(quick=5, short=100, full=100)
    vae = VAE(8, max_epochs=epochs, random_state=0, **FIXED_VAE).fit(train)
    model = vae.model_.double()
    x = model.scaling(torch.from_numpy(test[:n]))
    how = options.pick(
        quick=Annealing(10, n_chains=4),
        short=Annealing(300, n_chains=16),
        full=Annealing(3000, n_chains=32),
    )
    with stopwatch() as seconds:
        reference = annealed_estimate(model, x, annealing=how)
    yield Entry.of(TASK, "annealed", "limit", [Run(values(reference, reference), seconds[0], 0)])
    bound = elbo(model, x, torch.randn(200, n, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).elbo
    below = {"log p": float(bound.mean()), "below": float((reference.value - bound).mean())}
    yield Entry.of(f"{TASK}, the ELBO", "1 draw on average", "ours", [Run(below, 0.0, 0)])
    yield from by_importance(model, x, reference, TASK, options)
    yield from on_made_rows(model, n, how, options)


def by_importance(
    model: torch.nn.Module, x: torch.Tensor, reference: Estimate, task: str, options: Options
) -> Iterator[Entry]:
    for proposal_scale in (1.0, 1.3):
        for draws in options.pick(quick=(30, 100), short=(100, 1000, 5000), full=(100, 1000, 5000, 50_000)):
            with stopwatch() as seconds:
                estimate = log_marginal_estimate(model, x, n_draws=draws, proposal_scale=proposal_scale)
            name = f"{draws} draws" + (f", proposal scale {proposal_scale}" if proposal_scale != 1 else "")
            yield Entry.of(task, name, "ours", [Run(values(estimate, reference), seconds[0], 0)])


def on_made_rows(model: torch.nn.Module, n: int, how: Annealing, options: Options) -> Iterator[Entry]:
    with stopwatch() as seconds:
        both = sandwich(model, n, annealing=how)
    for name, side in (("annealed, from below", both.lower), ("annealed, from above", both.upper)):
        yield Entry.of(MADE, name, "limit", [Run(values(side, both.upper), seconds[0], 0)])
    yield from by_importance(model, both.x, both.upper, MADE, options)


def judge(found: Found) -> list[Bar]:
    width = abs(found.mean(MADE, "annealed, from below", "below"))
    return [Bar("sandwich bounds within .1 nat", "annealed", width, 0.1)]


BENCHMARK = Benchmark("scores", measure, judge)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
