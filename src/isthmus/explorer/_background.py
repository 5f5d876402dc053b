"""Codes and scores of all rows, computed while the page is already open."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from isthmus.explorer._explorer import Explorer

__all__ = ["Preparation"]

_FIRST, _MOST = 4, 16384  # rows of the first chunk, and of the largest
_SECONDS = {"codes": 0.2, "cells": 0.03, "scores": 0.03}  # that a chunk may take: Ctrl-C, and a request, wait for one
_TOO_LONG = 0.25  # seconds of processor time for the score of one row: then only rows that are looked at are scored
_PAUSE = 0.3  # seconds after a request in which no chunk is started


class Preparation:
    """Computes what the page needs in a separate thread: codes of all rows, then errors to expect, then scores.

    Parameters
    ----------
    explorer : Explorer
        What is prepared.
    progress : callable, optional
        Is called with what is computed, how many rows are done, and of how many.
    """

    def __init__(self, explorer: Explorer, progress: Callable[[str, int, int], None] | None = None) -> None:
        self.explorer, self._progress = explorer, progress
        self.ready = threading.Event()
        self.error: str | None = None
        self.stage, self.done = "codes", 0
        self._stopped = threading.Event()
        self._last_request = 0.0
        self._thread = threading.Thread(target=self._run, name="isthmus-explorer", daemon=True)

    def start(self) -> None:
        """Start computing."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current chunk, and wait a moment for it; the garbage collector calls this in any thread."""
        self._stopped.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5.0)

    def touch(self) -> None:
        """Note that the page has asked for something, which comes first."""
        self._last_request = time.monotonic()

    def status(self) -> dict[str, Any]:
        """Return how far the computation is."""
        return {
            "ready": self.ready.is_set(),
            "stage": self.stage,
            "done": self.done,
            "of": self.explorer.n_rows,
            "error": self.error,
        }

    def _run(self) -> None:
        try:
            self._chunks("codes", self.explorer.encode_part, self.explorer.n_rows)
            if self._stopped.is_set():
                return
            self.explorer.finish_codes()
            self.ready.set()
            errors = self.explorer.errors
            self._chunks("cells", errors.extend, errors.n_to_compare)
            self._chunks("scores", self.explorer.score_part, self.explorer.n_to_score)
            self.stage = "done"
        except Exception as error:
            traceback.print_exc()
            self.error = f"{type(error).__name__}: {error}"

    def _chunks(self, stage: str, compute: Callable[[int, int], None], n: int) -> None:
        self.stage, self.done, size = stage, 0, _FIRST
        while self.done < n:
            while stage != "codes" and time.monotonic() - self._last_request < _PAUSE:
                if self._stopped.wait(0.05):
                    return
            if self._stopped.is_set():
                return
            start, used = time.monotonic(), time.thread_time()
            compute(self.done, self.done + size)
            self.done = min(self.done + size, n)
            if self._progress is not None:
                self._progress(stage, self.done, n)
            if stage == "scores" and time.thread_time() - used > _TOO_LONG * size:
                self.explorer.n_to_score = self.explorer.n_scored
                return
            ideal = size * _SECONDS[stage] / max(time.monotonic() - start, 1e-6)
            size = max(1, min(2 * size, int(ideal), _MOST))
