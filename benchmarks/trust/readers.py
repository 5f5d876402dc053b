"""Change files of data at random, as far as the structure of their formats allows, and look what reading them does.

Usage: python benchmarks/trust/readers.py [--minutes 10] [--seed 0]

A file must be read, whole or block by block, or be refused with one short, printable line (DataError). What fails is
any other exception, a signal (pyarrow and Pillow are C++ and C), more than 3 seconds of a processor, or 200 MB of
memory more than before. Files are read in forked processes, since one may crash. What fails is written to
tests/corpus/, where `make test` reads it again; the counts are written to benchmarks/trust/readers.json. Needs Linux.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from hostile_data import judge_data, mutated_data, write_data  # noqa: E402 - after the path is set

BATCH = 2000  # files that one process reads
SECONDS, WAITING = 3, 60  # of a processor, and of a clock, that a file may take
MORE_MEMORY, LIMIT = 200_000_000, 4_000_000_000  # that a file may take, and at which allocations fail
LIBRARIES = ("isthmus", "numpy", "pandas", "pyarrow", "pillow", "openpyxl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        results = run(Path(folder), arguments.minutes, arguments.seed)
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    results |= {
        "minutes": arguments.minutes,
        "seed": arguments.seed,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": versions | {"python": platform.python_version()},
    }
    text = json.dumps(results, indent=2, sort_keys=True) + "\n"
    Path(__file__).with_suffix(".json").write_text(text)
    print(text)
    sys.exit(bool(results["failed"]))


def run(folder: Path, minutes: float, seed: int) -> dict[str, object]:
    """Return how many files of each format had each outcome."""
    for name in ("seeds", "work"):
        (folder / name).mkdir()
    seeds = [(kind, path.read_bytes()) for kind, paths in seeds_of(folder / "seeds").items() for path in paths]
    counts: dict[str, collections.Counter[str]] = {kind: collections.Counter() for kind, _ in seeds}
    failed: list[str] = []
    end, number, shown, slowest = time.monotonic() + 60 * minutes, 0, 0, 0.0
    while time.monotonic() < end:
        for result in batch(folder / "work", seeds, seed, number):
            number += 1
            kind, outcome = result["kind"], result["outcome"]
            counts[kind][outcome] += 1
            slowest = max(slowest, result["seconds"])
            if outcome == "failed":
                failed.append(f"{seed}/{number - 1} {kind}: {result['why']}"[:300])
                keep(changed(seeds, seed, number - 1)[1], kind)
                print(failed[-1], flush=True)
        if number - shown > 20_000:
            shown = number
            print(number, "files,", len(failed), "failed", flush=True)
    outcomes = {kind: dict(sorted(counter.items())) for kind, counter in counts.items()}
    return {"mutations": number, "failed": failed, "slowest_seconds": round(slowest, 2), "outcomes": outcomes}


def seeds_of(folder: Path) -> dict[str, list[Path]]:
    """Write the files that changes start from in a process of its own: threads of libraries are not forked."""
    os.waitpid(forked(lambda: write_data(folder)), 0)
    paths: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        paths.setdefault(path.name.partition(".")[2], []).append(path)
    return paths


def changed(seeds: list[tuple[str, bytes]], seed: int, number: int) -> tuple[str, bytes]:
    """Return the format and the bytes of a file; each format is as frequent as any other."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choice(sorted({kind for kind, _ in seeds}))
    return kind, mutated_data(rng, kind, rng.choice([raw for other, raw in seeds if other == kind]))


def batch(folder: Path, seeds: list[tuple[str, bytes]], seed: int, first: int) -> Iterator[dict[str, object]]:
    """Yield what happened to files that another process reads, up to one that ends it."""
    reading, writing = os.pipe()
    pid = forked(lambda: read_batch(folder, seeds, seed, first, writing))
    os.close(writing)
    begun: dict[str, object] | None = None
    with os.fdopen(reading) as stream:
        for line in stream:
            result = json.loads(line)
            begun = result if "outcome" not in result else None
            if begun is None:
                yield result
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if begun is None and code:
        raise RuntimeError("the process that reads files failed")
    if begun is not None:
        late = {-signal.SIGPROF: f"more than {SECONDS} s", -signal.SIGALRM: f"more than {WAITING} s by the clock"}
        yield begun | {"outcome": "failed", "why": late.get(code, f"exit code {code}"), "seconds": 0.0}


def forked(work: Callable[[], object]) -> int:
    """Let another process do some work, and return its number."""
    if pid := os.fork():
        return pid
    try:
        work()
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(1)
    os._exit(0)


def read_batch(folder: Path, seeds: list[tuple[str, bytes]], seed: int, first: int, writing: int) -> None:
    """Read changed files one after the other, and write to a pipe what happens."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and pyarrow write there
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + LIMIT, resource.RLIM_INFINITY))
    for path in folder.iterdir():  # of a process that was ended
        path.unlink()
    for kind, content in seeds:  # what is imported, and kept from then on, does not count
        path = folder / f"x.{kind}"
        path.write_bytes(content)
        judge_data(path, blocks=True)
        if judge_data(path) != "read":
            raise ValueError(f"the seed of {kind} is not read")
        path.unlink()
    for number in range(first, first + BATCH):
        kind, content = changed(seeds, seed, number)
        path = folder / f"x.{kind}"
        path.write_bytes(content)
        os.write(writing, json.dumps({"kind": kind}).encode() + b"\n")
        result = judge(path, blocks=bool(number % 2))
        path.unlink()
        os.write(writing, json.dumps({"kind": kind} | result).encode() + b"\n")


def judge(path: Path, *, blocks: bool) -> dict[str, object]:
    """Return what happened when a file was read; SIGPROF or SIGALRM ends the process if it takes too long."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    before, began = memory("VmRSS"), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(WAITING)
    result: dict[str, object] = {}
    try:
        result["outcome"] = judge_data(path, blocks=blocks)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        result |= {"outcome": "failed", "why": f"{type(error).__name__} in {where.name}: {error}"}
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    if memory("VmHWM") - before > MORE_MEMORY:
        result |= {"outcome": "failed", "why": f"{(memory('VmHWM') - before) / 1e6:.0f} MB of memory"}
    return result | {"seconds": time.process_time() - began}


def memory(name: str) -> int:
    """Return a number of bytes of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def keep(content: bytes, kind: str) -> None:
    """Write a file that failed to the corpus."""
    name = f"data-{hashlib.sha256(content).hexdigest()[:12]}.{kind}"
    (ROOT / "tests" / "corpus" / name).write_bytes(content)


if __name__ == "__main__":
    main()
