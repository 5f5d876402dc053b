"""Every quality script, then docs/quality.md and docs/likelihoods.md from what they wrote.

    python benchmarks/quality/all.py            # the short form: under half an hour on two idle cores
    python benchmarks/quality/all.py --full     # every task, 5 seeds, many epochs: hours; minutes on a GPU
    python benchmarks/quality/all.py --tune     # candidates compared on validation rows

Scripts run side by side, one for each core and with one thread: two processes of one thread are quicker than one of
two. Where there is a GPU they run in turn. All arguments go to the scripts; one that fails does not stop the others,
and the exit code then is 1.
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
# The longest first, so that no core waits for the last one.
NAMES = ("likelihood", "missing", "bits", "denoising", "codes", "reconstruction", "tables", "features", "scores")


def ran(name: str, arguments: list[str]) -> bool:
    """Run a script, print what it said, and return whether it ended well."""
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
