"""Let modelscan and picklescan look at saved models and checkpoints of every kind.

Usage: python benchmarks/trust/scan.py FOLDER

FOLDER has the commands of both (`make scan` installs them into an environment of their own). The scanners skip
safetensors files, as they hold no code. So they get each file under a second name, too, for which they take it for a
pickle; and one real pickle that calls a function, which they must find. benchmarks/trust/scan.json has the results.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from seeds import write_checkpoints, write_models  # noqa: E402 - after the path is set

CONTROL = "control.pkl"


class Control:
    """Its pickle calls a function when it is loaded."""

    def __reduce__(self) -> tuple:
        return os.system, ("true",)


def write_files(folder: Path) -> int:
    """Write models and checkpoints, each under two names, and the control; return how many files are of isthmus."""
    saved = [*write_models(folder), *write_checkpoints(folder)]
    files = {path.name: path for path in saved}
    for name, path in files.items():
        for copy in (folder / name, folder / f"{name}.pkl"):
            if copy != path:
                shutil.copy(path, copy)
    (folder / CONTROL).write_bytes(pickle.dumps(Control()))
    return len(files)


def modelscan(commands: Path, folder: Path) -> list[str]:
    """Return the files in which modelscan finds something."""
    report = folder / "report.json"
    subprocess.run([commands / "modelscan", "-p", folder, "-r", "json", "-o", report], capture_output=True, check=False)
    return sorted(issue["source"] for issue in json.loads(report.read_text())["issues"])


def picklescan(commands: Path, folder: Path) -> list[str]:
    """Return the files in which picklescan finds something."""
    done = subprocess.run([commands / "picklescan", "-p", folder], capture_output=True, text=True, check=False)
    return sorted({Path(path).name for path in re.findall(r"^(\S+): .*FOUND", done.stdout + done.stderr, re.MULTILINE)})


def main() -> None:
    commands = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        n_files = write_files(Path(folder))
        found = {scan.__name__: scan(commands, Path(folder)) for scan in (modelscan, picklescan)}
    paths = [str(path) for path in commands.parent.glob("lib/python*/site-packages")]
    versions = {each.name: each.version for each in importlib.metadata.distributions(path=paths) if each.name in found}
    result = {
        "files": n_files,
        "found_in_ours": {name: [file for file in files if file != CONTROL] for name, files in found.items()},
        "found_in_the_control": {name: CONTROL in files for name, files in found.items()},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": versions,
    }
    text = json.dumps(result, indent=1) + "\n"
    Path(__file__).with_name("scan.json").write_text(text)
    print(text)
    sys.exit(any(result["found_in_ours"].values()) or not all(result["found_in_the_control"].values()))


if __name__ == "__main__":
    main()
