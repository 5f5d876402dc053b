"""One process of several, started by torchrun: fits what it is told, and writes what came of it.

python tests/worker.py OUT JSON      # {"estimator": "VAE", "fields": {...}, "rows": 200, ...}
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import isthmus
from isthmus.data import RowSource, stream
from isthmus.engine import sharding


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
    shuffled, source = stream.Stream.shuffled, Counted(X, killer(told, at=8) if "kill" in told else lambda _: None)

    def noted(self, seed, start=0):
        source.epoch += 1
        yield from shuffled(self, seed, start)

    stream.Stream.shuffled, stream.POOL = noted, 100 * 64 * 8
    return source


def noted_shares():
    """Return a list that gets how many numbers a model's parameters have, and how many of them this process keeps."""
    shares, init = [], sharding.Sharded.__init__

    def noted(self, module, *more):
        whole = sum(p.numel() for p in module.parameters())
        init(self, module, *more)
        kept = sum(p.numel() for p in self.parameters())
        assert sum(p.to_local().numel() if hasattr(p, "to_local") else p.numel() for p in module.parameters()) == kept
        shares.append((whole, kept))

    sharding.Sharded.__init__ = noted
    return shares


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
    shares = noted_shares() if fields.get("parallel") == "sharded" else []
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
    if shares:
        arrays["shares"] = np.array(shares)
    np.savez(f"{out}.{rank}.npz", history=history, **arrays)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
