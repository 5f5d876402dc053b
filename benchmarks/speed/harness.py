"""Run each method in an interpreter of its own, alternately; describe the machine and its load."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from worker import answered

__all__ = ["ROOT", "Load", "ask", "busy_now", "in_turn", "record", "save"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

_IDLE = 0.05  # share of the cores that other processes may use on an idle machine
_LIBRARIES = ("isthmus", "torch", "numpy", "scikit-learn", "pythae", "keras", "jax", "optax")


def ask(call: str, threads: int, *, here: bool = False, **arguments: Any) -> dict[str, Any]:
    """Return the result of ``module:function(**arguments)`` in a fresh interpreter with this number of threads.

    With `here` it runs in this interpreter: where numbers do not matter, imports are the longest part.

    Raises
    ------
    RuntimeError
        If the call fails; the message ends with what it wrote to stderr.
    """
    if here:
        return json.loads(json.dumps(answered(call, arguments), allow_nan=False))
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    fixed = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        request = {"call": call, "with": arguments, "threads": threads, "answer": str(answer)}
        done = subprocess.run(
            [sys.executable, str(HERE / "worker.py")],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env=os.environ | counts | fixed,
            check=False,
        )
        if done.returncode or not answer.exists():
            raise RuntimeError(f"{call}({arguments}) ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return json.loads(answer.read_text())


def in_turn(
    sides: Mapping[str, Callable[[int], dict[str, Any]]], repeats: int, say: Callable[[str], object]
) -> tuple[dict[str, dict[str, list[float]]], dict[str, str]]:
    """Call every method with 0, 1, ..., repeats - 1, alternately, starting each round with a different one.

    Returns
    -------
    values : dict
        Of each side, by name, the numbers of every repeat.
    skipped : dict
        The sides that cannot run here, with the reason.
    """
    values: dict[str, dict[str, list[float]]] = {}
    skipped: dict[str, str] = {}
    names = list(sides)
    for i in range(repeats):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            if name in skipped:
                continue
            found = sides[name](i)
            if "skipped" in found:
                skipped[name] = found["skipped"]
                say(f"{name}: skipped, {found['skipped']}")
                continue
            for key, value in found.items():
                values.setdefault(name, {}).setdefault(key, []).append(value)
            say(f"{name}, {i + 1} of {repeats}: " + ", ".join(f"{k} {v:.4g}" for k, v in found.items()))
    return {name: values[name] for name in names if name in values}, skipped


class Load:
    """The use of the cores by other processes, from /proc/stat without this process and its children."""

    def __init__(self) -> None:
        self._all, self._idle, self._own = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        try:
            ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        except (OSError, ValueError, IndexError):  # not Linux
            return 0.0, 0.0, 0.0
        seconds = [t / os.sysconf("SC_CLK_TCK") for t in ticks]
        return sum(seconds), seconds[3] + seconds[4], sum(os.times()[:4])

    def others(self) -> float | None:
        """Return the share of all cores used by others since the creation of this object; None if unknown."""
        whole, idle, own = (b - a for a, b in zip((self._all, self._idle, self._own), self._now(), strict=True))
        return max(0.0, (whole - idle - own) / whole) if whole > 0 else None


def busy_now(seconds: float = 1.0) -> float:
    """Return the share of all cores used by other processes during the next second."""
    load = Load()
    time.sleep(seconds)
    return load.others() or 0.0


def record(load: Load, seconds: float, repeats: int, threads: int) -> dict[str, Any]:
    """Return where and when something was measured, and whether the machine was idle otherwise."""
    others = load.others()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds": round(seconds),
        "repeats": repeats,
        "threads": threads,
        "others": None if others is None else round(others, 4),
        "busy": others is None or others > _IDLE,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version()} | _versions(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # which affect the speed of matrix products
    flags = [flag for flag in known if re.search(rf"\b{flag}\b", text)]
    return (model[1] if model else platform.machine()) + (f" ({', '.join(flags)})" if flags else "")


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def save(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(_short(report), indent=1, allow_nan=False) + "\n")
    temporary.replace(path)


def _short(value: Any) -> Any:
    """Round every float to six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _short(inner) for key, inner in value.items()}
    return [_short(inner) for inner in value] if isinstance(value, (list, tuple)) else value
