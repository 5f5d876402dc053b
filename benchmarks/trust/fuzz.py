"""Change saved models and checkpoints at random, as far as their structure allows, and look what reading them does.

Usage: python benchmarks/trust/fuzz.py [--minutes 10] [--seed 0]

A file must be refused with one short, printable line (FileError; for a checkpoint a warning), or be read, and then work
or raise a ValueError. Time and memory are limited as in docs/trust.md. What fails is written to tests/corpus/,
where `make test` reads it again; the counts are written to benchmarks/trust/results.json.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import random
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from hostile import judge_checkpoint, judge_model  # noqa: E402 - after the path is set
from mutations import mutated  # noqa: E402
from seeds import write_checkpoints, write_models  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        results = run(Path(folder), arguments.minutes, arguments.seed)
    results |= {"minutes": arguments.minutes, "seed": arguments.seed}
    text = json.dumps(results, indent=2, sort_keys=True) + "\n"
    (Path(__file__).parent / "results.json").write_text(text)
    print(text)
    sys.exit(bool(results["failed"]))


def run(folder: Path, minutes: float, seed: int) -> dict[str, object]:
    """Return how many files of each kind had each outcome."""
    for name in ("models", "run", "work"):
        (folder / name).mkdir()
    kinds = {"model": write_models(folder / "models"), "checkpoint": write_checkpoints(folder / "run")[-1:]}
    counts = {kind: collections.Counter() for kind in kinds}
    failed: list[str] = []
    end, number, slowest = time.monotonic() + 60 * minutes, 0, 0.0
    while time.monotonic() < end:
        number += 1
        rng = random.Random(f"{seed}/{number}")
        kind = "checkpoint" if number % 5 == 0 else "model"
        content = mutated(rng, rng.choice(kinds[kind]))
        judge, path = {
            "model": (judge_model, folder / "work" / "m.safetensors"),
            "checkpoint": (judge_checkpoint, folder / "work" / "checkpoint-00000002.safetensors"),
        }[kind]
        path.write_bytes(content)
        began = time.perf_counter()
        try:
            outcome = judge(path)
        except Exception as error:
            outcome = "failed"
            where = traceback.extract_tb(error.__traceback__)[-1]
            failed.append(f"{number} {kind}: {type(error).__name__} in {where.name}: {error}"[:300])
            keep(content, kind)
        slowest = max(slowest, time.perf_counter() - began)
        counts[kind][outcome] += 1
        if number % 5000 == 0 or outcome == "failed":
            print(number, {kind: dict(counter) for kind, counter in counts.items()}, failed[-1:], flush=True)
    return {"mutations": number, "failed": failed, "slowest_seconds": round(slowest, 2), **counts}


def keep(content: bytes, kind: str) -> None:
    """Write a file that failed to the corpus."""
    name = f"{kind}-{hashlib.sha256(content).hexdigest()[:12]}.safetensors"
    (ROOT / "tests" / "corpus" / name).write_bytes(content)


if __name__ == "__main__":
    main()
