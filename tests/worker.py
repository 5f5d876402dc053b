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


def rows(n, rank, told):
    X = load_digits().data[:n].copy()
    if told.get("holes"):
        X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    return X + rank if told.get("other_rows") else X


def killer(told):
    """Kill this process once, in the middle of training; the file says that it was done."""
    done = Path(told["kill"])

    def callback(record):
        if record["epoch"] == told["kill_epoch"] and not done.exists():
            done.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return callback


def main(out, told):
    rank = int(os.environ.get("RANK", "0"))
    X = rows(told["rows"], rank, told)
    fields = told["fields"]
    if "kill" in told:
        fields["callbacks"] = [killer(told)]
    if "weights" in told:
        fields_weight = np.random.default_rng(2).random(len(X))
    model = getattr(isthmus, told["estimator"])(**fields)
    model.fit(X, None, fields_weight if "weights" in told else None)
    arrays = {f"p{i}": p.detach().numpy() for i, p in enumerate(model.model_.parameters())}
    keys = [key for key in model.history_[0] if key != "seconds"]
    history = np.array([[record[key] for key in keys] for record in model.history_])
    np.savez(f"{out}.{rank}.npz", history=history, **arrays)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
