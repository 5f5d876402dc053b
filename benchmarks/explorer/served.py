"""Explorers of digits, of a mixed table, and of many points, each served by a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from isthmus import VAE
from isthmus.explorer import Explorer
from isthmus.explorer._server import Server


def visits(n: int = 2000) -> pd.DataFrame:
    """Return a mixed table: categories, numbers, a date, a boolean, missing cells."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["cat", "dog", "bird"], n, p=[0.5, 0.4, 0.1])
    weight = pd.Series(kind).map({"cat": 4.0, "dog": 20.0, "bird": 0.1}) * rng.lognormal(0, 0.2, n)
    table = pd.DataFrame(
        {
            "kind": kind,
            "weight": weight.round(2),
            "fee": np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(4, 0.5, n).round(2)),
            "visits": rng.poisson(6, n),
            "day": rng.choice(pd.bdate_range("2024-01-01", periods=250), n),
            "chipped": rng.random(n) < np.where(kind == "dog", 0.9, 0.3),
            "length": (10 * weight**0.33 * rng.lognormal(0, 0.1, n)).round(1),
            "city": rng.choice(["Bern", "Basel", "Genf", "Chur"], n),
        }
    )
    table.loc[rng.random(n) < 0.2, "kind"] = None
    return table


def explore_digits() -> Explorer:
    X, y = load_digits(return_X_y=True)
    return Explorer(VAE(8, max_epochs=10, random_state=0).fit(X), X, y, image_shape=(8, 8))


def explore_table() -> Explorer:
    return Explorer(VAE(4, max_epochs=10, random_state=0).fit(visits()), visits())


def codes(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points of eight clusters in as many dimensions, and their clusters."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 8, n)
    return (3 * np.eye(8)[y] + rng.normal(size=(n, 8))).astype(np.float32), y


def explore_points(n: int) -> Explorer:
    X, y = codes(n)
    return Explorer(VAE(4, max_epochs=5, random_state=0).fit(X[:1000]), X, y)


def _serve(sender: Connection, make: Callable[..., Explorer], arguments: tuple[int, ...]) -> None:
    explorer = make(*arguments)
    explorer.n_to_score = 0  # only the map and the row at the marker are measured
    server = Server(explorer, port=0)
    sender.send(server.url)
    server.run()


@contextmanager
def served(make: Callable[..., Explorer], *arguments: int) -> Iterator[str]:
    """Serve an explorer inside the block, as `isthmus explore` does, and give its address.

    Its process is a separate one: a thread would wait for the one that moves the mouse.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(sender, make, arguments), daemon=True)
    process.start()
    try:
        yield receiver.recv()
    finally:
        process.terminate()
        process.join()
