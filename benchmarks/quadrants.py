"""Images completed from one, two or three quadrants: `ConditionalVAE` beside a network that predicts each pixel.

    python benchmarks/quadrants.py     # minutes on two cores; writes benchmarks/results/quadrants.json

It puts its table into docs/examples_quadrants.md, and needs Debian's dataset-fashion-mnist.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent / "speed")]

import numpy as np
import torch
from harness import ROOT, Load, record, save
from pages import about, table
from torch.nn import BCEWithLogitsLoss, Linear, ReLU, Sequential

from isthmus import ConditionalVAE
from isthmus.data import read

PAGE = ROOT / "docs" / "examples_quadrants.md"
_EPOCHS, _WIDTH, _BATCH_SIZE, _PEAK_RATE = 8, 512, 128, 2e-3
_TABLE = re.compile(r"^\| known .*?</small>$", re.DOTALL | re.MULTILINE)

Array = np.ndarray


def images(name: str) -> Array:
    """Return gray images (N, 28, 28) in [0, 1]."""
    return read(name).X.reshape(-1, 28, 28).astype(np.float32) / 255


def known(n_quadrants: int) -> Array:
    """Return the known pixels (28, 28): the lower left quadrant, the left half, or all but the upper right quadrant."""
    order = np.kron([[1, 3], [0, 2]], np.ones((14, 14)))
    return order < n_quadrants


def entropy(x: Array) -> float:
    """Return the lowest possible negative log likelihood of gray pixels (N, D) under Bernoulli, in nats per row."""
    p = np.clip(x.astype(float), 1e-7, 1 - 1e-7)
    return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(1).mean())


def predicted(y: Array, x: Array, y_test: Array, x_test: Array) -> float:
    """Return the negative log likelihood of `x_test` under a network that was trained to predict x from y."""
    inputs, targets, test, truth = map(torch.from_numpy, (y, x, y_test, x_test))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Sequential(
            *(Linear(y.shape[1], _WIDTH), ReLU(), Linear(_WIDTH, _WIDTH), ReLU(), Linear(_WIDTH, x.shape[1])),
        )
        optimizer = torch.optim.Adam(net.parameters())
        steps = _EPOCHS * -(-len(x) // _BATCH_SIZE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, total_steps=steps)
        loss = BCEWithLogitsLoss(reduction="none")
        for _ in range(_EPOCHS):
            for rows in torch.randperm(len(x)).split(_BATCH_SIZE):
                optimizer.zero_grad()
                loss(net(inputs[rows]), targets[rows]).sum(1).mean().backward()
                optimizer.step()
                schedule.step()
    with torch.no_grad():
        return float(loss(net(test), truth).sum(1).mean())


def measure(n_quadrants: int, train: Array, test: Array) -> dict[str, Any]:
    """Return negative conditional log likelihoods in nats per image, and seconds of both."""
    part = known(n_quadrants)
    data = train[:, part], train[:, ~part], test[:, part], test[:, ~part]
    began = time.perf_counter()
    network = predicted(*data)
    middle = time.perf_counter()
    model = ConditionalVAE(20, likelihood="bernoulli", random_state=0).fit(data[1], data[0])
    end = time.perf_counter()
    found = {
        "entropy": entropy(data[3]),
        "network": network,
        "elbo": -float(np.mean(model.elbo(data[3], data[2]).elbo)),
        "importance": -model.score(data[3], data[2]),
        "seconds": [middle - began, end - middle],
    }
    return found | {"cut": (network - found["importance"]) / (network - found["entropy"])}


def rendered(report: dict[str, Any]) -> str:
    """Return the table of the page."""
    head = [
        "known",
        "entropy of pixels",
        "network",
        "negative ELBO",
        "-log p(x given y)",
        "excess is cut by",
    ]
    names = {"1": "one quadrant", "2": "two", "3": "three"}
    rows = [
        [names[n], *(f"{run[key]:.1f}" for key in ("entropy", "network", "elbo", "importance")), f"{run['cut']:.0%}"]
        for n, run in report["runs"].items()
    ]
    return f"{table(head, rows)}\n\n{about(report['run'])}"


def main() -> None:
    load, start = Load(), time.perf_counter()
    train, test = images("fashion-mnist"), images("fashion-mnist-test")
    report: dict[str, Any] = {"runs": {}}
    for n in (1, 2, 3):
        report["runs"][str(n)] = measure(n, train, test)
        print(n, report["runs"][str(n)], flush=True)
    report["run"] = record(load, time.perf_counter() - start, 1, torch.get_num_threads())
    save(ROOT / "benchmarks" / "results" / "quadrants.json", report)
    PAGE.write_text(_TABLE.sub(lambda _: rendered(report), PAGE.read_text()))


if __name__ == "__main__":
    main()
