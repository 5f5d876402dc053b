"""One process of several, started by torchrun: fits the models that it is asked for, and writes what they learned.

python tests/worker.py FOLDER JSON      # {"name": {"estimator": "VAE", "fields": {...}, "rows": 200, ...}, ...}

A job leaves NAME.RANK.npz, or NAME.RANK.txt with its error. After a restart, jobs that left an npz are not run again.
"""

import json
import os
import signal
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
from sklearn.datasets import load_digits

import isthmus
from isthmus.data import RowSource
from isthmus.data.loaders import streaming


class Recorded(RowSource):
    """Rows of an array in blocks of ten, with a record of what was read: from where to where, and in which epoch."""

    def __init__(self, X, kill):
        super().__init__(*X.shape, X.dtype)
        self.X, self.kill, self.epoch, self.reads = X, kill, 0, []

    def edges(self):
        return np.append(np.arange(0, len(self), 10), len(self))

    def read(self, start, stop):
        self.reads.append((self.epoch, start, stop))
        self.kill(self.epoch)
        return self.X[start:stop]


@contextmanager
def recorded(X, kill):
    """Yield rows as a source that counts epochs; pools are small."""
    shuffled, source = streaming.StreamingLoader.shuffled, Recorded(X, kill)

    def counted(self, seed, start=0):
        source.epoch += 1
        yield from shuffled(self, seed, start)

    small = mock.patch.object(streaming, "POOL", 100 * 64 * 8)
    with small, mock.patch.object(streaming.StreamingLoader, "shuffled", counted):
        yield source


def rows(job, rank):
    X = load_digits().data[: job["rows"]].copy()
    if job.get("missing"):
        X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    if "infinite" in job:
        X[tuple(job["infinite"])] = np.inf
    return X + rank if job.get("other_rows") else X


def killer(job):
    """Return a function that kills this process when an epoch has called it so often, once; a file remembers that."""
    if "kill" not in job:
        return lambda _: None
    done, epochs = Path(job["kill"]), []

    def called(epoch):
        epochs.append(epoch)
        if epochs.count(3) == (8 if job.get("stream") else 1) and not done.exists():
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return called


def fit(job, rank=0):
    """Return the parameters, the history and what was read of a stream, as arrays."""
    X, fields, kill = rows(job, rank), dict(job["fields"]), killer(job)
    if not job.get("stream"):
        fields["trainer__callbacks"] = [lambda record: kill(record["epoch"])]
    weights = np.random.default_rng(2).random(len(X)) if job.get("weights") else None
    with recorded(X, kill) if job.get("stream") else nullcontext(X) as source:
        model = getattr(isthmus, job["estimator"])().set_params(**fields).fit(source, None, weights)
    arrays = {f"p{i}": p.detach().numpy() for i, p in enumerate(model.model_.parameters())}
    keys = [key for key in model.history_[0] if key != "seconds"]
    arrays["history"] = np.array([[record[key] for key in keys] for record in model.history_])
    return arrays | ({"reads": np.array(source.reads)} if job.get("stream") else {})


def main(folder, jobs):
    rank = int(os.environ["RANK"])
    for name, job in jobs.items():
        out = folder / f"{name}.{rank}.npz"
        if out.exists():
            continue
        try:
            arrays = fit(job, rank)
        except ValueError as error:
            if not job.get("catch"):
                raise
            out.with_suffix(".txt").write_text(str(error))
        else:
            np.savez(out, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
