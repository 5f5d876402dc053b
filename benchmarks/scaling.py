"""Compare two processes with one, and project to more: the last section of docs/scaling.md.

    python benchmarks/scaling.py            # measure, write results/scaling.json and the section
    python benchmarks/scaling.py --quick    # few steps; print, write nothing
    python benchmarks/scaling.py --render   # write the section from the results

In the model, a step of W processes takes

    t(W) = c(B / W) + a(P, W),        a(P, W) = 2 (W - 1) l + 2 (W - 1) / W * 4 P / b

where c(n) is the time of a step with n rows in one process, and a is the time of a ring all-reduce of P float32
gradients: 2 (W - 1) messages of latency l, and 2 (W - 1) / W times the gradients' bytes over a link of bandwidth b.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "scaling.json"
PAGE = ROOT / "docs" / "scaling.md"
MARK = "## Measurements and projections"
D, HIDDEN, K = 784, (512,), 20
LINKS = {  # latency in seconds and bandwidth in bytes per second, from data sheets, not measured
    "8 GPUs, NVLink 4": (8, 1e-5, 4.5e11),
    "64 GPUs, 8 per machine, 400 Gbit/s": (64, 2e-5, 5e10),
    "256 GPUs, 8 per machine, 400 Gbit/s": (256, 2e-5, 5e10),
    "1,000 GPUs, 8 per machine, 400 Gbit/s": (1000, 2e-5, 5e10),
}


def work(rows: int, batch: int, epochs: int) -> None:
    """Fit in all processes that torchrun started, and print the seconds per step and per all-reduce."""
    import numpy as np
    import torch

    from isthmus import VAE
    from isthmus.engine.distributed import find_processes, rank
    from isthmus.networks import MLP

    X = np.random.default_rng(0).random((rows, D), dtype=np.float32)
    fields = {"likelihood": "bernoulli", "scaling": "none", "batch_size": batch, "random_state": 0, "device": "cpu"}
    model = VAE(K, network=MLP(HIDDEN, skip=False), learning_rate=3e-3, max_epochs=epochs, **fields).fit(X)
    steps = -(-rows // batch)
    step = min(record["seconds"] for record in model.history_[1:]) / steps
    parameters = sum(p.numel() for p in model.model_.parameters())
    processes = find_processes(torch.device("cpu"))
    times = {}
    for size in (1, parameters):
        values, spans = torch.zeros(size), []
        for _ in range(30):
            start = time.perf_counter()
            processes.all_reduce(values)
            spans.append(time.perf_counter() - start)
        times[str(size)] = statistics.median(spans)
    if rank() == 0:
        print("RESULT" + json.dumps({"step": step, "parameters": parameters, "all_reduce": times}))


def run(world: int, batch: int, quick: bool) -> dict:
    rows, epochs = (2000, 2) if quick else (20_000, 4)
    script = [str(Path(__file__).resolve()), "--work", str(rows), str(batch), str(epochs)]
    launch = [] if world == 1 else ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    done = subprocess.run(
        [sys.executable, *launch, *script], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.rpartition("RESULT")[2])


def measure(quick: bool, repeats: int) -> dict:
    import torch

    batches = [256] if quick else [128, 512, 2048]
    table: dict[str, list] = {f"{world} {batch}": [] for batch in batches for world in (1, 2)}
    table |= {f"1 {batch // 2}": [] for batch in batches}
    for _ in range(repeats):
        for key, results in table.items():
            world, batch = map(int, key.split())
            results.append(run(world, batch, quick))
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    machine["processor"] = cpu[0].partition(": ")[2] if cpu else machine["processor"]
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    today = datetime.date.today().isoformat()
    return {"date": today, "seed": 0, "repeats": repeats, "machine": machine, "versions": versions, "table": table}


def median(found: dict, key: str) -> float:
    return statistics.median(result["step"] for result in found["table"][key])


def spread(found: dict, key: str) -> str:
    steps = [1e3 * result["step"] for result in found["table"][key]]
    return f"{statistics.median(steps):.2f} ({min(steps):.2f} to {max(steps):.2f})"


def render(found: dict) -> str:
    two = [key for key in found["table"] if key.startswith("2 ")]
    parameters = found["table"][two[0]][0]["parameters"]
    reduce = statistics.median(r["all_reduce"][str(parameters)] for key in two for r in found["table"][key])
    small = statistics.median(r["all_reduce"]["1"] for key in two for r in found["table"][key])
    lines = [
        MARK,
        "",
        f"VAE with {D}-{HIDDEN[0]}-{K} units ({parameters:,} parameters, {4 * parameters / 2**20:.1f} MiB of gradients "
        f"per step), one thread per process, gloo, {found['machine']['cores']} cores of "
        f"{found['machine']['processor']}, torch {found['versions']['torch']}, {found['date']}, by `python "
        f"benchmarks/scaling.py`. Milliseconds per step, medians of {found['repeats']} runs (smallest to largest), "
        "with training steps captured and replayed:",
        "",
        "| batch | one process | two processes | speed-up | model |",
        "|---|---|---|---|---|",
    ]
    for key in two:
        batch = int(key.split()[1])
        model = median(found, f"1 {batch // 2}") + reduce
        gain = median(found, f"1 {batch}") / median(found, key)
        lines.append(
            f"| {batch} | {spread(found, f'1 {batch}')} | {spread(found, key)} | {gain:.2f} | {1e3 * model:.2f} |"
        )
    lines += [
        "",
        'The column "model" is t(W) = c(B / W) + a(M, W) for W processes, a batch of B rows and M parameters: a step '
        "with the rows of one process, measured in one process, plus an "
        f"all-reduce of the gradients, which takes {1e3 * reduce:.2f} ms between two processes when measured alone "
        f"({1e3 * small:.2f} ms for a single number). Each process sends and receives 2 (W - 1) / W times the bytes "
        "of the gradients per step. It neglects that DistributedDataParallel sends the gradients of the last "
        "layers while those of the first layers are computed.",
        "",
        "The next table is computed, **not measured**: the same network with 8,192 rows per process, a ring "
        "all-reduce of a = 2 (W - 1) l + 2 (W - 1) / W * 4 M / b, latency l and bandwidth b from data sheets, and an "
        "assumed 1 ms for a step of 8,192 rows on a GPU.",
        "",
        "| | bytes per step and process | all-reduce | share of time spent computing |",
        "|---|---|---|---|",
    ]
    for name, (world, latency, bandwidth) in LINKS.items():
        sent = 2 * (world - 1) / world * 4 * parameters
        a = 2 * (world - 1) * latency + sent / bandwidth
        lines.append(f"| {name} | {sent / 2**20:.1f} MiB | {1e3 * a:.2f} ms | {1e-3 / (1e-3 + a):.0%} |")
    lines += [
        "",
        "Latency is the limit, not bandwidth: a network this small gains nothing beyond a few machines. A tree "
        "all-reduce instead of a ring (NCCL chooses by itself) moves the limit. A network a hundred times as wide "
        "computes longer and sends more, in the same proportion.",
        "",
    ]
    return "\n".join(lines)


def put(section: str) -> None:
    text = PAGE.read_text()
    before = text[: text.index(MARK)] if MARK in text else text.rstrip() + "\n\n"
    PAGE.write_text(before + section)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--work", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
    elif options.render:
        put(render(json.loads(RESULTS.read_text())))
    elif options.quick:
        print(render(measure(quick=True, repeats=1)))
    else:
        found = measure(quick=False, repeats=options.repeats)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        put(render(found))


if __name__ == "__main__":
    main()
