"""Measure isthmus on a GPU beside pythae, textbook loops, a jitted JAX step and the bare matrix products.

    python benchmarks/gpu.py               # minutes; writes results/gpu.json
    python benchmarks/gpu.py --only speed  # one part; the results of the others are kept
    python benchmarks/gpu.py --quick       # seconds, on digits, also without a GPU; writes nothing
    python benchmarks/speed --render       # writes docs/speed.md, whose last section is this one

quality: time to the test ELBO that pythae reaches, on Fashion-MNIST. speed: rows per second of an epoch at three batch
sizes. inference: transform and score_samples beside the products of the same layers. agreement: captured and eager
steps, GPU and CPU, bf16 and float32. processes: a group of one process over NCCL, and a single process.

All methods run in one process, alternately, each after a run on few rows that is not counted: it starts CUDA, loads
kernels and imports what a library imports late. The data start in main memory for all methods.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take most of the GPU's memory
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")  # float32, as torch computes; JAX's default is TF32
sys.path.insert(0, str(Path(__file__).resolve().parent / "speed"))

import numpy as np
import torch
from bound import Weights
from harness import ROOT, Load, in_turn, record, save
from recipes import TASKS, Recipe
from rows import cut
from side_isthmus import estimator, weights_of

RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
N_LATENT, HIDDEN = 20, 512
OWN, SAME = "isthmus, own recipe", "isthmus, pythae's recipe"
OPTIONS: dict[str, dict[str, Any]] = {"": {}, ", compile=True": {"compile": True}}
if DEVICE == "cuda":
    OPTIONS |= {f", bf16{name}": {"precision": "bf16"} | fields for name, fields in OPTIONS.items()}
PRECISIONS = ("float32", "bf16") if DEVICE == "cuda" else ("float32",)
LOOP, RESIDENT = "textbook loop", "textbook loop, rows on the GPU"
JAX = "JAX, jitted step"

Part = Callable[[argparse.Namespace], dict[str, Any]]


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def clock(function: Callable[[], object]) -> float:
    synchronize()
    start = time.perf_counter()
    function()
    synchronize()
    return time.perf_counter() - start


# ---- training -------------------------------------------------------------------------------------------------------


def train(name: str, X: np.ndarray, recipe: Recipe, seed: int) -> tuple[dict[str, float], Weights]:
    """Train a method; return its seconds and weights."""
    if name.startswith("isthmus"):
        from side_isthmus import train as run

        recipe = recipe._replace(**OPTIONS[name.removeprefix(OWN).removeprefix(SAME).removeprefix("isthmus")])
        return run(X, N_LATENT, HIDDEN, recipe, seed, DEVICE)
    if name == "pythae":
        from side_pythae import train as run

        return run(X, N_LATENT, HIDDEN, recipe, seed, DEVICE)
    if name == JAX:
        from side_jax import train as run

        return run(X, N_LATENT, HIDDEN, recipe, seed)
    from side_loop import train as run

    return run(X, N_LATENT, HIDDEN, recipe, seed, DEVICE, resident=name == RESIDENT)


@torch.no_grad()
def negative_elbo(weights: Weights, X: np.ndarray, n_draws: int = 5) -> float:
    """Return what ``bound.negative_elbo`` does, on the GPU, with other noise that is the same for all models."""
    generator, total = torch.Generator(DEVICE).manual_seed(12345), 0.0
    encoder, decoder = (
        [tuple(torch.tensor(np.array(part), device=DEVICE) for part in layer) for layer in layers]
        for layers in (weights.encoder, weights.decoder)
    )

    def run(layers: Any, h: torch.Tensor) -> torch.Tensor:
        for i, (weight, bias) in enumerate(layers):
            h = (h.relu() if i else h) @ weight + bias
        return h

    for x in torch.from_numpy(X).to(DEVICE).split(1000):
        mean, raw = run(encoder, x).double().chunk(2, dim=1)
        log_scale = weights.bound * torch.tanh(raw / weights.bound) if weights.bound else raw / 2
        total += float(0.5 * (mean**2 + torch.exp(2 * log_scale) - 1 - 2 * log_scale).sum())
        for _ in range(n_draws):
            noise = torch.randn(mean.shape, generator=generator, device=DEVICE, dtype=torch.float64)
            h = run(decoder, (mean + log_scale.exp() * noise).float())
            total += float((torch.nn.functional.softplus(h) - x * h).sum(dtype=torch.float64)) / n_draws
    return total / len(X)


def warm_up(names: list[str], X: np.ndarray) -> dict[str, str]:
    """Run each method on few rows; return why those that cannot run are skipped."""
    skipped = {}
    for name in names:
        try:
            train(name, X[:1000], Recipe(epochs=8, batch_size=100), 0)
        except Exception as error:
            if name.startswith("isthmus"):
                raise
            skipped[name] = f"{type(error).__name__}: {error}"
    return skipped


def sides(names: list[str], call: Callable[..., dict[str, float]], X: np.ndarray, repeats: int) -> dict[str, Any]:
    skipped = warm_up(names, X)
    values, _ = in_turn({n: functools.partial(call, n) for n in names if n not in skipped}, repeats, say)
    return {"sides": values, "skipped": skipped}


def quality(options: argparse.Namespace) -> dict[str, Any]:
    """Train with isthmus' recipe and with pythae's, and compare the time with that of the peers."""
    X, test = cut(options.data)
    task = TASKS["A"]

    def call(name: str, seed: int) -> dict[str, float]:
        found, weights = train(name, X, task.ours if name.startswith(OWN) else options.peers, seed)
        return found | {"negative_elbo": negative_elbo(weights, test)}

    names = [OWN + option for option in OPTIONS] + [SAME, SAME + ", compile=True", "pythae", LOOP, RESIDENT, JAX]
    found = sides(names, call, X, options.repeats)
    return found | {"ours": task.ours._asdict(), "peers": options.peers._asdict()}


def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Return rows per second of an epoch after the first one, for batches of several sizes."""
    X, _ = cut(options.data)
    found = {}
    for batch_size in options.batches:

        def call(name: str, seed: int, batch_size: int = batch_size) -> dict[str, float]:
            recipe = Recipe(epochs=2 if batch_size < 512 else 5, batch_size=batch_size)
            if name.startswith("isthmus"):
                fields = OPTIONS[name.removeprefix("isthmus")]
                model = estimator(N_LATENT, HIDDEN, recipe._replace(**fields), seed, DEVICE).fit(X)
                return {"rows_per_second": len(X) / median(epoch["seconds"] for epoch in model.history_[1:])}
            values, _ = train(name, X, recipe._replace(epochs=1), seed)
            return {"rows_per_second": len(X) / values["seconds"]}

        names = ["isthmus" + option for option in OPTIONS if option != ", bf16"] + ["pythae", LOOP, RESIDENT]
        found[str(batch_size)] = sides(names, call, X, options.repeats)
    return found


# ---- trained models -------------------------------------------------------------------------------------------------


def products(widths: list[int], rows: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return a function that multiplies rows by matrices of consecutive widths on the GPU."""
    matrices = [torch.randn(a, b, device=DEVICE) for a, b in pairwise(widths)]
    return lambda: functools.reduce(torch.mm, matrices, rows.to(DEVICE))


def inference(options: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of transform and score_samples and of their products, for rows in main memory."""
    X, _ = cut(options.data)
    X = X[: options.rows]
    scored = X[: max(1, options.rows // 50)]
    model = estimator(N_LATENT, HIDDEN, Recipe(epochs=1), 0, DEVICE).fit(X[:1000])
    n_features, n_draws = X.shape[1], model.n_draws
    encode, decode = [n_features, HIDDEN, 2 * N_LATENT], [N_LATENT, HIDDEN, n_features]

    host, codes = torch.from_numpy(X), torch.randn(len(scored) * n_draws, N_LATENT, device=DEVICE)
    copied = products(encode, host)
    methods: dict[str, tuple[int, Callable[[], object], dict[str, list[Callable[[], object]]]]] = {
        "transform": (
            len(X),
            lambda: model.transform(X),
            {"with copies": [lambda: copied().cpu()], "rows on the GPU": [products(encode, host.to(DEVICE))]},
        ),
        f"score_samples, {n_draws} draws": (
            len(scored),
            lambda: model.score_samples(scored),
            {"rows on the GPU": [products(encode, host[: len(scored)].to(DEVICE)), products(decode, codes)]},
        ),
    }
    found: dict[str, Any] = {}
    for name, (n_rows, method, floors) in methods.items():
        times: dict[str, list[float]] = {"seconds": []}
        for _ in range(options.repeats + 2):
            times["seconds"].append(clock(method))
            for floor, runs in floors.items():
                times.setdefault(floor, []).append(sum(map(clock, runs)))
        found[name] = {"rows": n_rows} | {key: values[2:] for key, values in times.items()}
        say(f"{name}: " + ", ".join(f"{key} {median(values[2:]):.4g}" for key, values in times.items()))
    return found


# ---- agreement ------------------------------------------------------------------------------------------------------


def agreement(options: argparse.Namespace) -> dict[str, Any]:
    """Compare what should be the same number: how far apart, and whether to the bit."""
    X, test = cut(options.data)
    ours, found = TASKS["A"].ours, {}
    for precision in PRECISIONS:
        recipe = ours._replace(precision=precision)
        eager, captured = (
            estimator(N_LATENT, HIDDEN, recipe._replace(compile=how), 0, DEVICE).fit(X) for how in (False, True)
        )
        found[f"captured and eager steps, {precision}"] = apart(eager, captured)
        say(f"captured and eager steps, {precision}: {found[f'captured and eager steps, {precision}']}")
    model = estimator(N_LATENT, HIDDEN, ours, 0, DEVICE).fit(X)
    for dtype in ("float32", "float64"):
        rows = test[: options.scored].astype(dtype)
        model.device = DEVICE
        gpu = model.score_samples(rows)
        model.device = "cpu"
        gap = np.abs(model.score_samples(rows) - gpu)
        found[f"log p(x) on GPU and CPU, {dtype}"] = {"largest": float(gap.max()), "mean": float(gap.mean())}
        say(f"log p(x) on GPU and CPU, {dtype}: {found[f'log p(x) on GPU and CPU, {dtype}']}")
    elbos: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for seed in range(options.repeats):
        for precision, values in elbos.items():
            recipe = options.peers._replace(precision=precision, compile=True)
            trained = estimator(N_LATENT, HIDDEN, recipe, seed, DEVICE).fit(X)
            values.append(negative_elbo(weights_of(trained), test))
    say(f"negative test ELBO: {elbos}")
    found["negative test ELBO, pythae's recipe"] = elbos
    return found


def apart(one: Any, other: Any) -> dict[str, Any]:
    """Return whether the parameters of two models have the same bits, and their largest difference."""
    pairs = list(zip(one.model_.parameters(), other.model_.parameters(), strict=True))
    return {
        "same_bits": all(torch.equal(a, b) for a, b in pairs),
        "largest": max(float((a - b).detach().abs().max()) for a, b in pairs),
        "seconds": [median(epoch["seconds"] for epoch in model.history_) for model in (one, other)],
    }


def processes(options: argparse.Namespace) -> dict[str, Any]:
    """Compare a group of one process over NCCL with a single process."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
        command = [*launch, __file__, "--group", str(answer), *(["--quick"] if options.quick else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        found: dict[str, Any] = json.loads(answer.read_text())
    say(str(found))
    return found


def group(options: argparse.Namespace) -> None:
    """Under torchrun with one process: train with DistributedDataParallel and without, and write how they differ."""
    from isthmus.engine.distributed import ProcessGroup
    from isthmus.estimators import _base

    X, _ = cut(options.data)
    recipe = Recipe(epochs=3, batch_size=256)
    fit = lambda: estimator(N_LATENT, HIDDEN, recipe, 0, DEVICE).fit(X)  # noqa: E731 - twice the same
    alone = fit()
    processes = ProcessGroup(torch.device(f"{DEVICE}:0" if DEVICE == "cuda" else DEVICE))
    _base.find_processes = lambda _=None: processes  # a single process would train without a group
    found = apart(alone, fit()) | {"backend": torch.distributed.get_backend(), "data": options.data}
    Path(options.group).write_text(json.dumps(found))


PARTS: dict[str, Part] = {
    "quality": quality,
    "speed": speed,
    "inference": inference,
    "agreement": agreement,
    "processes": processes,
}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(PARTS), help="measure only this part; can be repeated")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of every method (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="check in seconds, on digits, that it runs; write nothing")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the results (%(default)s)")
    parser.add_argument("--group", help=argparse.SUPPRESS)
    options = parser.parse_args()
    quick = options.quick
    options.data = "digits" if quick else "fashion_mnist"
    options.repeats = 1 if quick else options.repeats
    options.rows, options.scored = (500, 50) if quick else (50_000, 2000)
    options.batches = (128, 512) if quick else (128, 1024, 8192)
    options.peers = TASKS["A"].peers._replace(epochs=2 if quick else 5)
    return options


def main() -> None:
    options = parsed()
    if options.group:
        group(options)
        return
    if DEVICE == "cpu" and not options.quick:
        raise SystemExit("torch finds no GPU on this machine.")
    report = json.loads(options.output.read_text()) if options.output.exists() and not options.quick else {}
    for name in options.only or PARTS:
        print(name, flush=True)
        load, start = Load(), time.perf_counter()
        found = PARTS[name](options)
        about = record(load, time.perf_counter() - start, options.repeats, torch.get_num_threads())
        card = {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda} if DEVICE == "cuda" else {}
        report[name] = {"run": about | card, "found": found}
        if not options.quick:  # after every part, so that a later failure loses nothing
            save(options.output, report)


if __name__ == "__main__":
    main()
