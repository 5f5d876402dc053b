"""One process of several, started by torchrun: fits what it is told, and writes what came of it.

python tests/engine/worker.py OUT JSON      # {"estimator": "VAE", "fields": {...}, "rows": 200, ...}
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import isthmus
from isthmus.data import RowSource
from isthmus.data.loaders import streaming


class Counted(RowSource):
    """Rows of an array in blocks of ten, with a note of what was read: from where to where, and in which epoch."""

    def __init__(self, X, kill):
        super().__init__(*X.shape, X.dtype)
        self.X, self.kill, self.epoch, self.seen = X, kill, 0, []

    def edges(self):
        return np.append(np.arange(0, len(self), 10), len(self))

    def read(self, start, stop):
        self.seen.append((self.epoch, start, stop))
        self.kill(self.epoch)
        return self.X[start:stop]


def counted(X, told):
    """Return rows as a source that notes when an epoch begins; pools are small."""
    shuffled, source = (
        streaming.StreamingLoader.shuffled,
        Counted(X, killer(told, at=8) if "kill" in told else lambda _: None),
    )

    def noted(self, seed, start=0):
        source.epoch += 1
        yield from shuffled(self, seed, start)

    streaming.StreamingLoader.shuffled, streaming.POOL = noted, 100 * 64 * 8
    return source


def rows(n, rank, told):
    X = load_digits().data[:n].copy()
    if told.get("holes"):
        X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    if "infinite" in told:
        X[tuple(told["infinite"])] = np.inf
    return X + rank if told.get("other_rows") else X


def killer(told, at=1):
    """Kill this process once, when it is called for the `at`-th time in an epoch; the file says that it was done."""
    done, calls = Path(told["kill"]), []

    def called(epoch):
        calls.append(epoch)
        if calls.count(told["kill_epoch"]) == at and not done.exists():
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return called


def main(out, told):
    rank = int(os.environ.get("RANK", "0"))
    X = rows(told["rows"], rank, told)
    fields = told["fields"]
    if told.get("stream"):
        X = counted(X, told)
    elif "kill" in told:
        kill = killer(told)
        fields["callbacks"] = [lambda record: kill(record["epoch"])]
    if "weights" in told:
        fields_weight = np.random.default_rng(2).random(len(X))
    model = getattr(isthmus, told["estimator"])(**fields)
    model.fit(X, None, fields_weight if "weights" in told else None)
    arrays = {f"p{i}": p.detach().numpy() for i, p in enumerate(model.model_.parameters())}
    keys = [key for key in model.history_[0] if key != "seconds"]
    history = np.array([[record[key] for key in keys] for record in model.history_])
    if told.get("stream"):
        arrays["read"] = np.array(X.seen)
    np.savez(f"{out}.{rank}.npz", history=history, **arrays)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
