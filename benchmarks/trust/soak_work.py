"""What soak.py keeps busy: a model that learns from a stream, and somebody who uses the page of `isthmus explore`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pandas as pd

N_ROWS, N_UNITS = 256, 3
KINDS = np.array(["cat", "dog", "bird", "horse"])


def rows(rng: np.random.Generator, n: int, drift: float) -> pd.DataFrame:
    """Return rows of a mixed table with missing cells, whose distribution depends on `drift`."""
    kind = rng.choice(4, n, p=[0.4, 0.3, 0.2, 0.1])
    size = rng.lognormal(kind, 0.3) * np.exp(0.1 * np.sin(drift))
    table = pd.DataFrame(
        {
            "kind": KINDS[kind],
            "size": size.round(2),
            "fee": np.where(rng.random(n) < 0.3, 0.0, (10 * size + rng.normal(5, 1, n)).round(2)),
            "age": rng.gamma(2.0 + kind, 2.0),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 365, n), unit="D"),
            "tame": rng.random(n) < 0.2 + 0.2 * kind,
        }
    )
    table.loc[rng.random(n) < 0.1, "age"] = np.nan
    return table


def model_of(table: pd.DataFrame) -> object:
    from isthmus import VAE

    return VAE(N_UNITS, hidden_layer_sizes=(32,), max_epochs=5, random_state=0).fit(table)


class Pace:
    """Waits so that no more than some calls a second are made."""

    def __init__(self, per_second: float) -> None:
        self.seconds, self.next = 1 / per_second, time.monotonic()

    def wait(self) -> None:
        now = time.monotonic()
        time.sleep(max(0.0, self.next - now))
        self.next = max(self.next, now) + self.seconds


def stream(per_second: float) -> None:
    """Learn from batches without end; now and then score them, save the model, and go on with what was read again.

    The number of batches that were learned is printed after each of them.
    """
    from isthmus import load

    rng = np.random.default_rng(0)
    model, pace = model_of(rows(rng, 1000, 0.0)), Pace(per_second)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        for batch in range(1, 2**62):
            pace.wait()
            table = rows(rng, N_ROWS, batch / 1000)
            model.partial_fit(table)
            if batch % 10 == 0:
                model.score_samples(table)
                model.transform(table)
            if batch % 500 == 0:
                model.save(path)
                model = load(path)
                model.sample(N_ROWS, random_state=0)
            print(batch, flush=True)


class Visitor:
    """Somebody who asks for everything that the page can ask for, and for what it must refuse.

    Parameters
    ----------
    url : str
        Address of the page.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.path = parts.netloc, parts.path
        self.rng, self.n_requests = random.Random(0), 0
        self.connection = http.client.HTTPConnection(self.host, timeout=60)

    def visit(self) -> None:
        """Send one request, and check the status of the answer."""
        rng = self.rng
        if rng.random() < 0.02:  # a page that is loaded again has a new connection
            self.connection.close()
            for name in ("", "static/index.js", "api/model"):
                self.ask(name, (200, 404))
        body, status = rng.choice(_REQUESTS)(rng)
        self.ask(f"api/{body.pop('call')}", (status,), json.dumps(body).encode())
        if rng.random() < 0.01:
            text = rows(np.random.default_rng(rng.randrange(2**32)), 20, 0.0).to_csv(index=False)
            self.ask(f"api/place?name={quote('dropped.csv')}", (200,), text.encode())
        if rng.random() < 0.01:
            self.ask("../another-token/api/model", (403, 404))

    def ask(self, name: str, expected: tuple[int, ...], body: bytes | None = None) -> None:
        self.connection.request("GET" if body is None else "POST", self.path + name, body)
        answer = self.connection.getresponse()
        content = answer.read()
        self.n_requests += 1
        if answer.status not in expected:
            raise AssertionError(f"{name} with {body!r}: status {answer.status}, {content[:200]!r}")


def _code(rng: random.Random) -> list[float]:
    return [rng.gauss(0, 1) for _ in range(N_UNITS)]


_REQUESTS = [
    lambda rng: ({"call": "decode", "codes": [_code(rng) for _ in range(rng.choice([1, 1, 64]))]}, 200),
    lambda rng: ({"call": "inspect", "point": rng.randrange(1000)}, 200),
    lambda rng: ({"call": "inspect", "code": _code(rng)}, 200),
    lambda rng: ({"call": "path", "start": rng.randrange(1000), "stop": rng.randrange(1000)}, 200),
    lambda rng: ({"call": "complete", "point": rng.randrange(1000), "cleared": [rng.randrange(6)]}, 200),
    lambda rng: ({"call": "draw", "seed": rng.randrange(2**31)}, 200),
    lambda rng: ({"call": "unit", "k": rng.randrange(N_UNITS)}, 200),
    lambda rng: ({"call": "colour", "k": rng.randrange(3)}, 200),
    lambda rng: ({"call": "prior", "i": 0, "j": rng.randrange(1, N_UNITS)}, 200),
    lambda rng: ({"call": "find", "text": rng.choice(["dog", "17", "no such row"])}, 200),
    lambda _: ({"call": "status"}, 200),
    lambda _: ({"call": "decode", "codes": [[0.0]]}, 400),
    lambda rng: ({"call": "inspect", "point": 10**9 + rng.randrange(10**9)}, 400),
]


@contextlib.contextmanager
def explorer() -> Iterator[tuple[int, str]]:
    """Start `isthmus explore` with a model and data, and give its process and its address."""
    with tempfile.TemporaryDirectory() as folder:
        table = rows(np.random.default_rng(0), 1000, 0.0)
        data, model = Path(folder) / "rows.csv", Path(folder) / "model.safetensors"
        table.to_csv(data, index=False)
        model_of(pd.read_csv(data)).save(model)
        command = [sys.executable, "-m", "isthmus.cli", "explore", str(model), str(data), "--no-browser"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
        try:
            assert process.stdout is not None
            yield process.pid, process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    stream(float(sys.argv[1]))
