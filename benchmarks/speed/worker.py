"""Run one measurement in an interpreter of its own: read a request from stdin, write the answer to a file.

A request is ``{"call": "module:function", "with": {...}, "threads": 2, "answer": path}``. The number of threads is
set before anything is imported, and through the cores that the process may use, so that it holds for every library.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

PEERS = ("pythae", "keras", "jax", "optax", "matplotlib")  # a missing one is reported


def answered(call: str, arguments: dict[str, Any]) -> Any:
    """Return the result of ``module:function(**arguments)``, or why it is skipped."""
    module, _, name = call.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(**arguments)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PEERS:
            raise
        return {"skipped": f"{error.name} is not installed"}


def main() -> None:
    request = json.load(sys.stdin)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: request["threads"]])
    answer = answered(request["call"], request["with"])
    Path(request["answer"]).write_text(json.dumps(answer, allow_nan=False))


if __name__ == "__main__":
    main()
