"""Measure the time to quality, and the time of the same recipe: isthmus, pythae, a textbook loop, Keras 3, a jitted JAX
step.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import ask, in_turn
from recipes import TASKS, TUNING, Recipe, Task

__all__ = ["SIDES", "compare", "measure", "tune", "tune_all"]

OWN, SAME, COMPILED = "isthmus, own recipe", "isthmus, pythae's recipe", ", compile=True"
SIDES = {
    OWN: "isthmus",
    OWN + COMPILED: "isthmus",
    "pythae": "pythae",
    SAME: "isthmus",
    SAME + COMPILED: "isthmus",
    "textbook loop": "loop",
    "Keras 3 (JAX)": "keras",
    "JAX, jitted step": "jax",
}


# ---- in an interpreter of its own -----------------------------------------------------------------------------------


def measure(side: str, folder: str, n_latent: int, hidden: int, recipe: Sequence[Any], seed: int) -> dict[str, float]:
    """Train one method on train.npy; return its seconds, those of its imports, and the negative ELBO of test.npy."""
    start = time.perf_counter()
    train = importlib.import_module(f"side_{side}").train
    imports = time.perf_counter() - start
    import numpy as np
    from bound import negative_elbo

    X, test = (np.load(Path(folder) / f"{part}.npy") for part in ("train", "test"))
    seconds, weights = train(X, n_latent, hidden, Recipe(*recipe), seed)
    return seconds | {"negative_elbo": negative_elbo(weights, test), "import_seconds": imports}


def tune_all(folder: str, n_latent: int, hidden: int, recipes: Sequence[Sequence[Any]], seed: int) -> dict[str, Any]:
    """Train isthmus with each recipe; return the results on test.npy, which has validation rows here."""
    found = [measure("isthmus", folder, n_latent, hidden, recipe, seed) for recipe in recipes]
    return {"runs": [{"recipe": Recipe(*r)._asdict(), **run} for r, run in zip(recipes, found, strict=True)]}


# ---- from outside ---------------------------------------------------------------------------------------------------


def _quick(task: Task) -> Task:
    return task._replace(
        data="digits",
        title=f"{task.title} (quick: digits)",
        peers=task.peers._replace(epochs=2),
        ours=task.ours._replace(epochs=1),
    )


def compare(
    letter: str, repeats: int, threads: int, say: Callable[[str], object], peers: Sequence[str], *, quick: bool
) -> dict[str, Any]:
    """Run the methods of task A or B alternately, repeat i with seed i."""
    task = _quick(TASKS[letter]) if quick else TASKS[letter]
    with tempfile.TemporaryDirectory() as folder:
        some = {"n_rows": 256 if quick else None, "here": quick}
        n_rows = ask("rows:store", threads, name=task.data, folder=folder, **some)

        def run(name: str, seed: int) -> dict[str, Any]:
            recipe = (task.ours if name.startswith(OWN) else task.peers)._replace(compile=name.endswith(COMPILED))
            arguments = {"side": SIDES[name], "folder": folder, "n_latent": task.n_latent, "hidden": task.hidden}
            here = quick and letter != "A"  # the quick form of A checks fresh interpreters
            return ask("training:measure", threads, here=here, **arguments, recipe=recipe, seed=seed)

        sides = {n: functools.partial(run, n) for n, side in SIDES.items() if side == "isthmus" or side in peers}
        values, skipped = in_turn(sides, repeats, say)
    described = task._asdict() | {"peers": task.peers._asdict(), "ours": task.ours._asdict()}
    return {"task": described, "rows": n_rows, "sides": values, "skipped": skipped}


def tune(letter: str, threads: int, say: Callable[[str], object], *, quick: bool) -> dict[str, Any]:
    """Search the grid of TUNING on validation rows; return the runs, and pythae on the same rows as the goal.

    A run's seconds matter as much as its ELBO: do it on an idle machine.
    """
    task, grid = (_quick(TASKS[letter]) if quick else TASKS[letter]), TUNING[letter]
    if quick:
        grid = {name: values[:2] if name == "epochs" else values[:1] for name, values in grid.items()}
    with tempfile.TemporaryDirectory() as folder:
        ask("rows:store", threads, name=task.data, folder=folder, tuning=True, n_rows=256 if quick else None)
        arguments = {"folder": folder, "n_latent": task.n_latent, "hidden": task.hidden, "seed": 0}
        goal = ask("training:measure", threads, side="pythae", recipe=task.peers, **arguments)
        say(f"pythae on the same rows: {goal}")
        runs = []
        for batch_size, precision in itertools.product(grid["batch_size"], grid["precision"]):
            rest = itertools.product(grid["epochs"], grid["rates"])
            recipes = [
                Recipe(epochs, batch_size, rate, task.ours.schedule, precision, task.ours.betas, slower)
                for epochs, (rate, slower) in rest
            ]
            runs += ask("training:tune_all", threads, recipes=recipes, **arguments)["runs"]
            say(f"batch size {batch_size}, {precision}: done")
    runs.sort(key=lambda run: run["seconds"])
    return {"pythae": goal, "runs": runs}


def good_enough(found: dict[str, Any], margin: float) -> list[dict[str, Any]]:
    """Return the runs that reach the ELBO of pythae with this margin in nats, fastest first."""
    needed = found["pythae"].get("negative_elbo", float("inf")) - margin
    return [run for run in found["runs"] if run["negative_elbo"] <= needed]
