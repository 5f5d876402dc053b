"""A folder of tables in one format: one table, whose rows are those of the files in the order of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isthmus import _formats
from isthmus.data.dataset import Dataset
from isthmus.data.errors import DataError
from isthmus.data.formats._base import Format, check_same_columns
from isthmus.data.formats._frames import import_pandas

__all__ = ["TableFolder"]

# Names such as README.txt and package.json say little; a table in such a file is to be named itself.
_VAGUE = (".txt", ".dat", ".data", ".json", ".zip")


class TableFolder(Format):
    """A folder of text tables, of Arrow files, of files of JSON lines, or of Excel files, all with the same columns."""

    @classmethod
    def sniff(cls, path: Path) -> bool:
        """Return whether a folder has such files."""
        return path.is_dir() and bool(_tables(path))

    def read(self) -> Dataset:
        """Return the rows of all files.

        Raises
        ------
        DataError
            If the files are of several formats, or one has other columns than the first; the message names it.
        """
        files = _tables(self.path)
        formats = dict.fromkeys(files.values())
        if len(formats) > 1:
            shown = [next(file.name for file, name in files.items() if name == kind) for kind in formats]
            raise DataError(f"{self.path}: holds tables in several formats ({', '.join(shown)}): name one of them.")
        return self._read_text(list(files)) if "Csv" in formats else self._read_frames(list(files))

    def _read_text(self, files: list[Path]) -> Dataset:
        from isthmus.data.formats._text_table import TextTable
        from isthmus.data.formats.csv import Csv

        tables = [Csv(files[0]).read_text()]
        for file in files[1:]:
            table = TextTable.read(file, like=tables[0])
            check_same_columns(file, _names(table), files[0], _names(tables[0]))
            tables.append(table)
        data = TextTable.join(self.path, tables).dataset()
        return data._replace(name=self.path.name, notes=(f"joined {len(files)} files", *data.notes))

    def _read_frames(self, files: list[Path]) -> Dataset:
        pandas = import_pandas(self.path, "a folder of tables")
        from isthmus.data.formats import find_format

        frames: list[Any] = []
        for file in files:
            cls = find_format(file)
            assert cls is not None  # its name has a format
            frame = cls(file).read().X
            if frames:
                check_same_columns(file, list(frame.columns), files[0], list(frames[0].columns))
                _check_kinds(file, frame, files[0], frames[0])
            frames.append(frame)
        frame = pandas.concat(frames, ignore_index=not any(map(_has_names, frames)))
        notes = (f"joined {len(files)} files",)
        return Dataset(frame, tuple(map(str, frame.columns)), None, None, self.path.name, notes)


def _tables(folder: Path) -> dict[Path, str]:
    """Return the tables in a folder with the names of their formats, except hidden files."""
    found = {}
    for file in sorted(folder.iterdir()):
        row = _formats.find_row(file.name)
        known = row is not None and row.class_name in ("Csv", "Feather", "JsonLines", "Excel")
        vague = file.suffix.lower() in _VAGUE and not _formats.find_row(file.stem)
        if row is not None and known and not vague and file.name[0] not in "._~" and file.is_file():
            found[file] = row.class_name
    return found


def _names(table: Any) -> tuple[str, ...]:
    """Return the names of the columns of a text table, that of its index included."""
    return table.names if table.index is None else (table.index[0], *table.names)


def _has_names(frame: Any) -> bool:
    from isthmus.data.formats._base import has_index

    return has_index(frame)


def _check_kinds(file: Path, frame: Any, first: Path, other: Any) -> None:
    """Raise `DataError` if a column has numbers in one file and something else in another."""
    for name in other.columns:
        own, wanted = frame[name], other[name]
        if own.isna().all() or wanted.isna().all():
            continue
        if (own.dtype.kind in "iuf") != (wanted.dtype.kind in "iuf"):
            raise DataError(
                f"{file}: column {name!r} holds {own.dtype}, and {wanted.dtype} in {first.name}; give all files of a "
                "folder the same types."
            )
