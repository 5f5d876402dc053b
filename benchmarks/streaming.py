"""Rows larger than memory: peak memory, rate beside rows in memory, and what the shuffling costs.

    python benchmarks/streaming.py            # a 10 GB memory map: results/streaming.json
    python benchmarks/streaming.py --size 2   # one of 2 GB
    python benchmarks/streaming.py --quick    # some MB, one seed: prints the numbers, writes nothing

Memory is measured in a process of its own: what /proc/self/status says at its peak, less what it said when isthmus was
imported and had fitted a few rows. VmHWM counts pages of mapped files as well; RssAnon is what the process has for
itself, read every 20 ms. The rate is that of whole epochs over the same rows, streamed and in memory, in turn, medians.
The bias is the final ELBO of test rows, of models that saw the training rows sorted by class, in memory and streamed
through pools of 1/16 of them.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from isthmus import VAE
from isthmus.data import FileRows, sources, stream

RESULTS = Path(__file__).with_name("results") / "streaming.json"
WIDTH, RANK = 784, 20  # of the rows, and of what is in them beside noise
FIELDS = {"n_components": 20, "hidden_layer_sizes": (512,), "random_state": 0, "schedule": "constant"}


def make_rows(path: Path, n_rows: int, seed: int = 0) -> None:
    """Write rows of low rank with noise, float32, block by block."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(RANK, WIDTH)).astype(np.float32)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, WIDTH))
    for start in range(0, n_rows, 10_000):
        n = min(10_000, n_rows - start)
        codes = rng.standard_normal((n, RANK), dtype=np.float32)
        rows[start : start + n] = codes @ loadings + 0.3 * rng.standard_normal((n, WIDTH), dtype=np.float32)
    rows.flush()


# ---- memory --------------------------------------------------------------------------------------------------------


def status(name: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


class Watch:
    """Notes the largest RssAnon of this process, every 20 ms."""

    def __enter__(self) -> Watch:
        self.peak, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._done.wait(0.02):
            self.peak = max(self.peak, status("RssAnon"))

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def child(path: str, output: str) -> None:
    """Fit one epoch of the file and transform it, and print the peaks beyond the library."""
    from isthmus.cli import main

    VAE(**FIELDS, max_epochs=1).fit(np.random.default_rng(0).normal(size=(500, WIDTH)).astype(np.float32))
    library = {name: status(name) for name in ("VmHWM", "RssAnon")}
    start = time.perf_counter()
    with Watch() as fitting:
        model = VAE(**FIELDS, max_epochs=1).fit(FileRows.npy(path))
    seconds = time.perf_counter() - start
    after_fit = status("VmHWM")
    model.save(f"{output}.safetensors")
    with Watch() as mapping:
        assert main(["transform", f"{output}.safetensors", path, "-o", output]) == 0
    peaks = {
        "library": library,
        "fit": {"VmHWM": after_fit - library["VmHWM"], "RssAnon": fitting.peak - library["RssAnon"]},
        "fit_and_transform": {
            "VmHWM": status("VmHWM") - library["VmHWM"],
            "RssAnon": max(fitting.peak, mapping.peak) - library["RssAnon"],
        },
        "fit_seconds": seconds,
        "epoch_seconds": model.history_[0]["seconds"],
        "loss": model.history_[0]["loss"],
    }
    sys.stdout.write(json.dumps(peaks) + "\n")


def memory(folder: Path, n_rows: int) -> dict[str, Any]:
    """Return the peaks, in bytes beyond the library, of fitting and transforming a file of `n_rows` rows."""
    path = folder / "rows.npy"
    make_rows(path, n_rows)
    command = [sys.executable, __file__, "--child", str(path), str(folder / "codes.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    codes = np.load(folder / "codes.npy", mmap_mode="r")
    assert codes.shape == (n_rows, FIELDS["n_components"])
    result = {"bytes": path.stat().st_size, "rows": n_rows, **json.loads(done.stdout.splitlines()[-1])}
    path.unlink()
    return result


# ---- rate ----------------------------------------------------------------------------------------------------------


def rate(folder: Path, n_rows: int, repeats: int) -> dict[str, Any]:
    """Return rows a second of an epoch, streamed and in memory, in turn."""
    path = folder / "part.npy"
    make_rows(path, n_rows)
    X, source = np.load(path), FileRows.npy(path)
    seconds: dict[str, list[float]] = {"memory": [], "stream": []}
    VAE(**FIELDS, max_epochs=1).fit(X)  # the first fit of a process pays for what torch sets up
    for _ in range(repeats):
        for name, rows in (("memory", X), ("stream", source)):
            seconds[name].append(VAE(**FIELDS, max_epochs=1).fit(rows).history_[0]["seconds"])
    median = {name: n_rows / float(np.median(values)) for name, values in seconds.items()}
    return {"rows": n_rows, "seconds": seconds, "rows_per_second": median, "share": median["stream"] / median["memory"]}


# ---- bias ----------------------------------------------------------------------------------------------------------


def bias(folder: Path, seeds: int, max_epochs: int) -> dict[str, Any]:
    """Return the final ELBO of test rows for training rows sorted by class, in memory and streamed, seed by seed."""
    X, y = load_digits(return_X_y=True)
    order = np.argsort(y, kind="stable")
    test = np.zeros(len(X), dtype=bool)
    test[::4] = True
    rows, held = X[order][~test].astype(np.float32), X[order][test].astype(np.float32)
    np.save(folder / "digits.npy", rows)
    block, pool = 8 * rows[0].nbytes, rows.nbytes // 16
    plain = sources._BLOCK, stream.POOL
    elbo: dict[str, list[float]] = {"memory": [], "stream": []}
    try:
        sources._BLOCK, stream.POOL = block, pool
        for seed in range(seeds):
            for name, data in (("memory", rows), ("stream", FileRows.npy(folder / "digits.npy"))):
                model = VAE(8, max_epochs=max_epochs, random_state=seed).fit(data)
                elbo[name].append(float(model.elbo(held).elbo.mean()))
    finally:
        sources._BLOCK, stream.POOL = plain
    difference = np.subtract(elbo["stream"], elbo["memory"])
    error = float(difference.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else None
    return {
        "data": "digits, sorted by class; every fourth row for testing",
        "seeds": list(range(seeds)),
        "max_epochs": max_epochs,
        "block_bytes": block,
        "pool_bytes": pool,
        "elbo": elbo,
        "difference": float(difference.mean()),
        "standard_error": error,
        "spread_of_seeds": float(np.std(elbo["memory"], ddof=1)) if seeds > 1 else None,
    }


# ---- all of it -----------------------------------------------------------------------------------------------------


def measure(size: float, *, quick: bool, folder: str | None) -> dict[str, Any]:
    """Return all three, with where and when they were measured."""
    n_rows = int(size * 1e9) // (4 * WIDTH)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        where = Path(temporary)
        found = {
            "memory": memory(where, n_rows),
            "rate": rate(where, min(n_rows, 100_000), 1 if quick else 5),
            "bias": bias(where, 1 if quick else 10, 2 if quick else 100),
        }
    versions = {name: importlib.metadata.version(name) for name in ("isthmus", "torch", "numpy", "scikit-learn")}
    machine = {"machine": platform.machine(), "system": platform.platform(), "cores": os.cpu_count()}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine | {"python": platform.python_version()},
        "versions": versions,
        "fields": FIELDS,
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=10.0, help="size of the memory map in GB")
    parser.add_argument("--quick", action="store_true", help="some MB and one seed; writes nothing")
    parser.add_argument("--folder", help="where the memory map is written, and removed again")
    parser.add_argument("--child", nargs=2, metavar=("ROWS", "CODES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    size = 0.005 if arguments.quick else arguments.size
    text = json.dumps(measure(size, quick=arguments.quick, folder=arguments.folder), indent=1)
    print(text)
    if not arguments.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text + "\n")


if __name__ == "__main__":
    main()
