"""Fit one model in a process of its own, with one thread, and score it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from candidates import MODELS, TRIED
from scores import scores
from world import World

N_UNITS = 512


class Case(NamedTuple):
    """One fit: the name of a candidate, its number of active units, the seed of world and model, and the samples."""

    name: str
    k: int
    seed: int
    path: str
    batch_size: int


def in_own_process(case: Case) -> dict[str, Any]:
    """Return the scores of a fit, computed in a process with one thread."""
    command = [sys.executable, "-W", "ignore", __file__, json.dumps(case)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{case}: {done.stderr[-2000:]}")
    values = json.loads(done.stdout.splitlines()[-1])
    print(f"  {case.name}, k = {case.k}, seed {case.seed}: {values}", flush=True)
    return {"model": case.name, "k": case.k, "seed": case.seed, "values": values}


def measure(case: Case) -> dict[str, float]:
    """Fit a model, and return its scores on test samples."""
    candidate = next(c for c in (*MODELS, *TRIED) if c.name == case.name)
    side = importlib.import_module(f"side_{candidate.side}")
    settings = {"n_components": N_UNITS, "k": case.k, "batch_size": case.batch_size} | candidate.settings()
    start = time.process_time()
    directions, apply = side.fit(Path(case.path), settings, case.seed)
    seconds = time.process_time() - start
    world = World.of(case.seed)
    strengths, x = world.test(case.seed)
    codes, reconstruction = apply(x)
    error = float(np.square(x - reconstruction).sum(1).mean())
    values = scores(directions, codes, world.features, strengths, error)
    return {name: round(value, 4) for name, value in values.items()} | {"cpu_seconds": round(seconds, 1)}


if __name__ == "__main__":
    print(json.dumps(measure(Case(*json.loads(sys.argv[1])))))
