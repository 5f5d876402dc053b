"""A disk that is full, for this process."""

import signal
from contextlib import contextmanager

import pytest


@contextmanager
def small_files(n_bytes):
    """Let no file of this process grow beyond `n_bytes`, as if the disk were full."""
    resource = pytest.importorskip("resource", reason="limits of file sizes are Unix's")
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
