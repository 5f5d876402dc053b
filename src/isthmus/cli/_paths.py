"""Checks of the files that a command writes, before any work."""

from __future__ import annotations

import os
from pathlib import Path

from isthmus._formats import split_member

__all__ = ["check_log", "check_output"]


def check_output(path: str, *others: str | None, suffix: str | None = None) -> None:
    """Raise an error if a result cannot be written to `path`, or would replace another file of the command.

    Parameters
    ----------
    path : str
        The file to be written.
    *others : str or None
        What the command reads, and what else it writes: files, folders of data, bundled names, or None.
    suffix : str, optional
        The suffix that the file must have; by default any of the data files.

    Raises
    ------
    ValueError
        If the file cannot be written, or is one of the others, also through a link.
    """
    from isthmus.data import check_writable
    from isthmus.data.writing import check_replaceable

    if suffix is None:
        check_writable(path)
    elif Path(path).suffix != suffix:
        raise ValueError(f"{path}: must end in {suffix}; name it {Path(path).with_suffix(suffix)}.")
    else:
        check_replaceable(Path(path))
    for other in filter(None, others):
        source = Path(split_member(other)[0])
        files = source.iterdir() if source.is_dir() else [source]
        if any(_is_same(Path(path), file) for file in files):
            raise ValueError(
                f"{path}: would replace {other}, which the same command reads or writes; name another file."
            )


def check_log(path: str, *others: str | None) -> None:
    """Raise an error if --log cannot be written to `path`, a .csv or a folder for TensorBoard."""
    if path.endswith(".csv"):
        check_output(path, *others, suffix=".csv")
    elif Path(path).is_file():
        raise ValueError(f"--log {path}: is a file; name a .csv, or a folder for TensorBoard.")
    elif any(_is_same(Path(path), Path(other)) for other in filter(None, others)):
        raise ValueError(f"--log {path}: is a file of the same command; name another folder for TensorBoard.")


def _is_same(a: Path, b: Path) -> bool:
    """Return whether two paths are the same file, which need not exist yet."""
    return a.samefile(b) if a.exists() and b.exists() else os.path.realpath(a) == os.path.realpath(b)
