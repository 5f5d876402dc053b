"""JSON lines: one object per line; and arrays of such objects."""

from __future__ import annotations

import codecs
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from isthmus.data.dataset import Dataset
from isthmus.data.errors import DataError
from isthmus.data.formats._base import Format, Layout, as_table
from isthmus.data.formats._frames import as_frame_dataset, import_pandas, whole_numbers
from isthmus.data.formats._unpacking import check_cells

__all__ = ["JsonLines"]


class JsonLines(Format):
    """A table of one JSON object per row, in lines or in an array.

    Names that a row does not have, and null, are missing cells.
    """

    def check_library(self) -> None:
        """Raise `DataError` if pandas is not installed."""
        import_pandas(self.path, "JSON lines")

    def read(self) -> Dataset:
        """Return the table."""
        pandas = import_pandas(self.path, "JSON lines")
        with self.path.open("rb") as stream:
            first = next((line for line in stream if line.strip()), b"").removeprefix(codecs.BOM_UTF8)
            stream.seek(0)
            if first.lstrip().startswith(b"["):
                rows = self._array(stream.read())
            else:
                rows = [self._parse(line, number) for number, line in enumerate(stream, start=1) if line.strip()]
        names = {name for row in rows for name in row}
        check_cells(self.path, len(rows), len(names), sum(map(len, rows)))
        return as_frame_dataset(whole_numbers(pandas.DataFrame(rows)), self.path)

    def _array(self, content: bytes) -> list[dict[str, Any]]:
        """Return the objects in an array."""
        try:
            rows = json.loads(content.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.path}: is no valid JSON ({error}).") from error
        if not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{self.path}: is an array of other things than objects; write one {{...}} per row.")
        return list(rows)

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        """Return the object in a line."""
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(row := json.loads(line.decode("utf-8-sig")), dict):
                return row
        what = f"line {number} is no JSON object ({line.decode(errors='replace').strip()!r:.40})"
        raise DataError(f"{self.path}: {what}; write one {{...}} per line.")

    @contextlib.contextmanager
    def writer(self, file: Path, layout: Layout) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Write each row of numbers as an object."""
        pandas = import_pandas(self.path, "JSON lines")
        names = layout.table_columns(self.path)
        with file.open("w", encoding="utf-8") as stream:
            yield lambda block: _write(pandas.DataFrame(as_table(block), columns=names), stream)

    def write_frame(self, file: Path, frame: Any, like: Any = None) -> None:  # noqa: ARG002
        """Write each row of a DataFrame as an object."""
        with file.open("w", encoding="utf-8") as stream:
            _write(frame, stream)


def _write(frame: Any, stream: Any) -> None:
    """Write rows; unlike DataFrame.to_json, with as many digits as each number needs."""
    cells = frame.astype(object).where(frame.notna(), None)
    for row in cells.to_dict("records"):
        stream.write(json.dumps(row, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    """Return a value that JSON has no type for as a number or text."""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else str(value)
