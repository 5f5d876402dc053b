"""A lock on a folder, so that one run at a time writes into it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = ["lock_folder", "remove_folder"]

_LOCK = "lock"  # name of the locked file


def lock_folder(folder: Path) -> IO[str]:
    """Create a folder if it does not exist, and lock it: return the locked file, whose closing releases the lock.

    The system releases it when the process ends, however it does. Systems without such locks get none.

    Raises
    ------
    BlockingIOError
        If the folder is locked, by this process or by another one.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # whoever had locked the folder has removed it just now
            lock = (folder / _LOCK).open("w")
            try:
                _lock(lock)
                if os.path.samestat(os.fstat(lock.fileno()), (folder / _LOCK).stat()):
                    return lock
            except BaseException:
                lock.close()
                raise
            lock.close()  # a file that was removed after it was opened: others would lock a new one


def remove_folder(folder: Path) -> None:
    """Remove the file of the lock, and the folder if nothing else is in it."""
    (folder / _LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _lock(file: IO[str]) -> None:
    """Lock a file, if this system and this disk can."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except (ImportError, OSError):  # nothing else depends on it
        pass
