"""Files written aside and renamed, so that a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_write"]


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file beside `path` that takes its place if the block ends well.

    The temporary lies in the same directory (a rename across file systems is not atomic) and has the same
    suffix (writers that look at it stay content). It is synced to the disk before the rename, and removed if
    the block raises anything at all, Ctrl-C included.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write. A link is followed; a file that exists keeps its permissions.

    Yields
    ------
    pathlib.Path
        The temporary file, empty.

    Raises
    ------
    OSError
        If the directory cannot be written, or `path` is a folder, a device or a pipe.

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
    if target.exists() and not target.is_file():  # renaming over /dev/null would replace the device itself
        raise OSError(f"{path}: is not a regular file; name a new file, or one to replace.")
    temporary = target.with_name(f".isthmus-{secrets.token_hex(8)}{target.suffix}")
    temporary.touch(exist_ok=False)  # not mkstemp, whose files only the owner may read
    try:
        if target.exists():
            shutil.copymode(target, temporary)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # a writer that makes a file of its own may have given it another
        _sync(temporary, os.O_RDWR)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not every system can sync a directory; the file is whole without it
        _sync(target.parent, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    """Return only when `path` has reached the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
