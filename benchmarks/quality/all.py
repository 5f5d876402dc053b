"""Run all quality scripts, then write docs/quality.md and docs/likelihoods.md from their results.

    python benchmarks/quality/all.py            # the short form: under half an hour on two idle cores
    python benchmarks/quality/all.py --full     # every task, 5 seeds, many epochs: hours; minutes on a GPU
    python benchmarks/quality/all.py --tune     # compare candidates on validation rows

Scripts run in parallel, one per core with one thread each, since two processes of one thread are faster than one of
two. With a GPU they run one after the other. All arguments are passed on to the scripts. A script that fails does not
stop the others; the exit code is then 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
# The longest first, so that no core idles at the end.
NAMES = (
    "likelihood",
    "missing",
    "bits",
    "denoising",
    "codes",
    "reconstruction",
    "tables",
    "features",
    "refine",
    "scores",
)


def ran(name: str, arguments: list[str]) -> bool:
    """Run a script, print its output, and return whether it succeeded."""
    threads = {} if torch.cuda.is_available() else {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    done = subprocess.run(command, check=False, env=os.environ | threads, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    return not done.returncode


def main(arguments: list[str]) -> int:
    names = [name for name in NAMES if not ("--tune" in arguments and name == "scores")]
    start = time.perf_counter()
    with ThreadPoolExecutor(1 if torch.cuda.is_available() else os.cpu_count()) as pool:
        well = list(pool.map(lambda name: ran(name, arguments), names))
    failed = [name for name, good in zip(names, well, strict=True) if not good]
    if not {"--quick", "-h", "--help"} & set(arguments):
        subprocess.run([sys.executable, str(HERE / "render.py")], check=True)
    print(f"{len(names) - len(failed)} of {len(names)} scripts in {(time.perf_counter() - start) / 60:.1f} min")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
