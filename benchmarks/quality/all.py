"""Every quality script in turn, then docs/quality.md and docs/likelihoods.md from what they wrote.

    python benchmarks/quality/all.py            # the short form: under half an hour on two idle cores
    python benchmarks/quality/all.py --full     # every task, 5 seeds, many epochs: hours; minutes on a GPU
    python benchmarks/quality/all.py --tune     # candidates compared on validation rows

All arguments go to the scripts; one that fails does not stop the others, and the exit code then is 1.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = ("likelihood", "bits", "reconstruction", "codes", "denoising", "missing", "tables", "features", "scores")


def ran(name: str, arguments: list[str]) -> bool:
    """Run a script; return whether it ended well."""
    return not subprocess.run([sys.executable, str(HERE / f"{name}.py"), *arguments], check=False).returncode


def main(arguments: list[str]) -> int:
    names = [name for name in NAMES if not ("--tune" in arguments and name == "scores")]
    start = time.perf_counter()
    failed = [name for name in names if not ran(name, arguments)]
    if not {"--quick", "-h", "--help"} & set(arguments):
        subprocess.run([sys.executable, str(HERE / "render.py")], check=True)
    print(f"{len(names) - len(failed)} of {len(names)} scripts in {(time.perf_counter() - start) / 60:.1f} min")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
