"""Measure training on data larger than memory: peak memory, throughput, and what block-wise shuffling costs.

    python benchmarks/streaming.py              # with a memory map of 10 GB; writes results/streaming.json
    python benchmarks/streaming.py --size 2     # with one of 2 GB
    python benchmarks/streaming.py --only bias  # one part, merged into the same file
    python benchmarks/streaming.py --quick      # a few MB, one seed; prints the numbers and writes nothing

Memory is measured in a process of its own: the peak in /proc/self/status minus the value after isthmus was imported and
had fitted a few rows. VmHWM also counts pages of mapped files; RssAnon, read every 20 ms, is the memory of the process
itself. The throughput is that of whole epochs over the same rows, alternately streamed and in memory (medians).
The bias is the difference in the final ELBO of test rows between models that were trained on rows sorted by class,
streamed and in memory: on digits with pools of 1/16 of the rows, less than one batch, and on Fashion-MNIST (package
dataset-fashion-mnist of Debian) with pools of the default size.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from quality._data import DEBIAN, fashion_mnist
from sklearn.datasets import load_digits

from isthmus import VAE
from isthmus.data import FileRows, sources
from isthmus.data.loaders import streaming

RESULTS = Path(__file__).with_name("results") / "streaming.json"
WIDTH, RANK = 784, 20  # of the rows: columns, and rank without the noise
PARTS = ("bias", "memory", "rate")  # the first one needs a package: fail early if it is missing
FIELDS = {
    "n_components": 20,
    "hidden_layer_sizes": (512,),
    "network__skip": False,
    "likelihood__scale": "shared",
    "prior": "standard_normal",
    "batch_size": 128,
    "learning_rate": 3e-3,
    "optimizer__schedule": "constant",
    "random_state": 0,
}


def make_rows(path: Path, n_rows: int, seed: int = 0) -> None:
    """Write rows of low rank plus noise, as float32, block by block."""
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
    """Record the largest RssAnon of this process, read every 20 ms."""

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
    """Fit the file for one epoch, transform it, and print the peaks beyond the memory of the library."""
    from isthmus.cli import main

    VAE().set_params(**FIELDS, max_epochs=1).fit(np.random.default_rng(0).normal(size=(500, WIDTH)).astype(np.float32))
    library = {name: status(name) for name in ("VmHWM", "RssAnon")}
    start = time.perf_counter()
    with Watch() as fitting:
        model = VAE().set_params(**FIELDS, max_epochs=1).fit(FileRows.npy(path))
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
    """Return the peaks of fitting and transforming a file of `n_rows` rows, in bytes beyond the library."""
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
    """Return the rows per second of an epoch, alternately streamed and in memory."""
    path = folder / "part.npy"
    make_rows(path, n_rows)
    X, source = np.load(path), FileRows.npy(path)
    seconds: dict[str, list[float]] = {"memory": [], "stream": []}
    VAE().set_params(**FIELDS, max_epochs=1).fit(X)  # the first fit of a process includes torch's initialisation
    for _ in range(repeats):
        for name, rows in (("memory", X), ("stream", source)):
            seconds[name].append(VAE().set_params(**FIELDS, max_epochs=1).fit(rows).history_[0]["seconds"])
    median = {name: n_rows / float(np.median(values)) for name, values in seconds.items()}
    return {"rows": n_rows, "seconds": seconds, "rows_per_second": median, "share": median["stream"] / median["memory"]}


# ---- bias ----------------------------------------------------------------------------------------------------------


def bias(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Return what shuffling costs with pools smaller than a batch, and with pools of the default size."""
    images = None if quick else fashion_mnist(DEBIAN)
    plain = sources._BLOCK, streaming.POOL
    X, y = load_digits(return_X_y=True)
    rows, held = _by_class(X, y)
    try:
        sources._BLOCK, streaming.POOL = 8 * rows[0].nbytes, rows.nbytes // 16
        seeds, epochs = (1, 2) if quick else (10, 100)
        worst = _difference(folder, rows, held, seeds, n_components=8, max_epochs=epochs)
    finally:
        sources._BLOCK, streaming.POOL = plain
    found = {"digits, pools of less than a batch": worst}
    if images:
        train, y = images.everything()
        fields = FIELDS | {"likelihood": "bernoulli", "max_epochs": 5, "optimizer__schedule": "one_cycle"}
        del fields["likelihood__scale"]
        orders = {
            "sorted by class": np.argsort(y, kind="stable"),
            "in random order": np.random.default_rng(0).permutation(len(train)),
        }
        for name, order in orders.items():
            case = f"Fashion-MNIST {name}, the library's pools"
            found[case] = _difference(folder, train[order], images.test, 5, **fields)
    return found


def _by_class(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test rows sorted by class; every fourth row is a test row."""
    order = np.argsort(y, kind="stable")
    test = np.zeros(len(X), dtype=bool)
    test[::4] = True
    return X[order][~test].astype(np.float32), X[order][test].astype(np.float32)


def _difference(folder: Path, rows: np.ndarray, held: np.ndarray, seeds: int, **fields: Any) -> dict[str, Any]:
    """Return the test ELBO per seed, of models trained on the same rows in memory and streamed."""
    path = folder / "sorted.npy"
    np.save(path, rows)
    elbo: dict[str, list[float]] = {"memory": [], "stream": []}
    for seed in range(seeds):
        for name, data in (("memory", rows), ("stream", FileRows.npy(path))):
            model = VAE().set_params(**fields | {"random_state": seed}).fit(data)
            elbo[name].append(float(model.elbo(held).elbo.mean()))
    difference = np.subtract(elbo["stream"], elbo["memory"])
    several = seeds > 1
    return {
        "seeds": list(range(seeds)),
        "fields": {name: value for name, value in fields.items() if name != "random_state"},
        "rows": len(rows),
        "block_rows": int(sources._BLOCK // rows[0].nbytes),
        "pool_rows": int(streaming.POOL // rows[0].nbytes),
        "elbo": elbo,
        "difference": float(difference.mean()),
        "standard_error": float(difference.std(ddof=1) / np.sqrt(seeds)) if several else None,
        "spread_of_seeds": float(np.std(elbo["memory"], ddof=1)) if several else None,
    }


# ---- all parts ----------------------------------------------------------------------------------------------------


def measure(size: float, *, quick: bool, folder: str | None, parts: Sequence[str] = PARTS) -> dict[str, Any]:
    """Return the requested parts, with the machine, the versions and the date."""
    n_rows = int(size * 1e9) // (4 * WIDTH)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        where = Path(temporary)
        of: dict[str, Callable[[], dict[str, Any]]] = {
            "memory": lambda: memory(where, n_rows),
            "rate": lambda: rate(where, min(n_rows, 100_000), 1 if quick else 5),
            "bias": lambda: bias(where, quick=quick),
        }
        found = {name: of[name]() for name in parts}
    versions = {name: importlib.metadata.version(name) for name in ("isthmus", "torch", "numpy", "scikit-learn")}
    machine = {"machine": platform.machine(), "system": platform.platform(), "cores": os.cpu_count()}
    measured = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine | {"python": platform.python_version()},
        "versions": versions,
    }
    return {"fields": FIELDS} | {name: measured | part for name, part in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=10.0, help="size of the memory map in GB")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this part")
    parser.add_argument("--quick", action="store_true", help="a few MB and one seed; write nothing")
    parser.add_argument("--folder", help="folder for the temporary memory map")
    parser.add_argument("--child", nargs=2, metavar=("ROWS", "CODES"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    size = 0.005 if arguments.quick else arguments.size
    found = measure(size, quick=arguments.quick, folder=arguments.folder, parts=arguments.only or PARTS)
    print(json.dumps(found, indent=1))
    if not arguments.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(before | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
