"""Change saved models at random, and keep the changes that reach new branches of isthmus: fuzzing guided by coverage.

Usage: python benchmarks/trust/guided.py [--minutes 10] [--seed 0]

Needs atheris (Linux): pip install "isthmus[fuzz]". Half of the changes keep the structure of a file and its checksum,
as those of fuzz.py do; the others change bytes. The first file that fails ends the run, and is written to
tests/corpus/; the counts are written to benchmarks/trust/guided.json.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "guided.json"
sys.path.insert(0, str(ROOT / "tests"))

with atheris.instrument_imports(include=["isthmus"]):
    from hostile import judge_model
    from mutations import mutated
    from seeds import write_models


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    work, seeds = folder / "m.safetensors", folder / "seeds"
    seeds.mkdir()
    for path in write_models(folder):
        (seeds / path.name).write_bytes(path.read_bytes())

    counts: collections.Counter[str] = collections.Counter()

    def test(content: bytes) -> None:
        work.write_bytes(content)
        counts[judge_model(work)] += 1
        if counts.total() % 500 == 0:  # the run ends without returning to Python
            results = {"runs": counts.total(), "seed": arguments.seed, **counts}
            RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")

    def change(content: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        work.write_bytes(content)
        try:
            changed = mutated(rng, work) if rng.random() < 0.5 else None
        except Exception:
            changed = None
        return changed if changed is not None and len(changed) <= most else atheris.Mutate(content, most)

    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={int(60 * arguments.minutes)}",
            f"-seed={arguments.seed + 1}",
            "-max_len=200000",
            "-timeout=20",
            "-print_final_stats=1",
            f"-artifact_prefix={ROOT / 'tests' / 'corpus'}/model-",
            str(seeds),
        ],
        test,
        custom_mutator=change,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
