"""Replace files atomically: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_write"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # no room on the disk, or none that the user may take


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` when the block ends without an error.

    The temporary file is in the same folder, because a rename across file systems is not atomic, and has the same
    suffix, because some writers look at it. It is synced to the disk before the rename, and removed if the block raises
    any exception, KeyboardInterrupt included.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write. A link is followed; an existing file keeps its permissions.

    Yields
    ------
    pathlib.Path
        The temporary file, empty.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    OSError
        If the folder is not writable, or `path` is a folder, a device or a pipe.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "note.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> [(file.name, file.read_text()) for file in folder.iterdir()]
    [('note.txt', 'whole')]
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: the folder {target.parent} does not exist; make it first.")
    if target.exists() and not target.is_file():  # renaming over /dev/null would replace the device itself
        raise OSError(f"{path}: is not a regular file; name a new file, or one to replace.")
    temporary = target.with_name(f".isthmus-{secrets.token_hex(8)}{target.suffix}")
    try:
        temporary.touch(exist_ok=False)  # not mkstemp, whose files only the owner may read
        if target.exists():
            shutil.copymode(target, temporary)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # a writer that replaces the file may have changed it
        _sync(temporary, os.O_RDWR)
        temporary.replace(target)
    except OSError as error:
        if error.filename is None and error.errno in _FULL:  # of a write, which does not know the name
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not every system can sync a folder; the file is complete without it
        _sync(target.parent, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    """Wait until `path` has reached the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
