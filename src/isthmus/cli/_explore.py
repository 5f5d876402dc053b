"""``isthmus explore``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from isthmus.cli._data import LABELS, align_columns, open_data
from isthmus.cli._errors import about, note
from isthmus.cli._models import check_exists, load_model, loading

__all__ = ["explore"]


@click.command(short_help="Explore the latent space in the browser.")
@click.argument("model")
@click.argument("data", required=False)
@LABELS
@click.option("--image-shape", metavar="H,W", help="Shape of a row that is an image, such as 8,8 or 3,32,32.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8765, show_default=True, help="Port; the next one if it is taken."
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--export", metavar="FILE", help="Write the plane as one .html file that needs no server, and exit.")
def explore(
    model: str,
    data: str | None,
    labels: str | None,
    image_shape: str | None,
    port: int,
    no_browser: bool,
    export: str | None,
) -> None:
    """Open a local page for exploring the latent space of MODEL, with the rows of DATA on it.

    Drag the marker to see the decoded row, point at a row to see what is odd in it, or clear cells to see completions.

    The page is served on this machine only, and its address holds a secret token. Ctrl-C ends it.

    \b
    isthmus explore m.safetensors digits
    isthmus explore m.safetensors table.csv --y species
    isthmus explore m.safetensors table.csv --y sex,age   # of a model that is conditioned on these columns
    isthmus explore m.safetensors digits --export plane.html
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    shape = _parse_shape(image_shape)
    check_exists(model)
    if export is not None and not export.lower().endswith((".html", ".htm")):
        raise ValueError(f"--export {export}: must end in .html.")
    with loading():
        from isthmus.explorer import Explorer, serve
    if export is None:
        _check_installed()
    fitted = load_model(model)
    X, y, found_shape = _read(fitted, data, labels)
    with about(data or model):
        explorer = Explorer(
            fitted,
            X,
            y,
            image_shape=shape or found_shape,
            name=Path(model).name,
            data_name="" if data is None else Path(data).name,
        )
    if export is not None:
        _write_page(explorer, Path(export))
        return
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn ends either way
        serve(explorer, port=port, open_browser=not no_browser, announce=_announce, progress=_progress())
    note("the explorer is closed")


def _write_page(explorer: Any, path: Path) -> None:
    """Write the plane as one file."""
    from isthmus._atomic import atomic_write
    from isthmus.explorer import export_page

    explorer.prepare(_progress(), scores=False)
    page = export_page(explorer)
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    note(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB); it opens in a browser, without a server")


def _check_installed() -> None:
    from isthmus.explorer._server import check_installed

    check_installed()


def _announce(url: str) -> None:
    click.echo(url)
    from isthmus.explorer._server import has_display

    where = "" if has_display() else " (it has no display: open the address through a tunnel)"
    note(f"the page is served on this machine{where}; Ctrl-C ends it")


def _progress() -> Any:
    """Return a function that shows progress, on a terminal."""

    def show(stage: str, done: int, of: int) -> None:
        if not sys.stderr.isatty():
            return
        text = f"{'encoding' if stage == 'codes' else 'scoring'} {done:,} of {of:,} rows"
        sys.stderr.write(f"\r\x1b[K{text}" if done < of else "\r\x1b[K")
        sys.stderr.flush()

    return show


def _parse_shape(text: str | None) -> tuple[int, ...] | None:
    """Return the numbers of "8,8" or "8x8"."""
    if text is None:
        return None
    numbers = text.lower().replace("x", ",").split(",")
    if len(numbers) not in (2, 3) or not all(n.strip().isdigit() and int(n) for n in numbers):
        raise ValueError(f"--image-shape {text}: must be height,width or channels,height,width, such as 8,8.")
    return tuple(int(n) for n in numbers)


def _read(model: Any, data: str | None, labels: str | None) -> tuple[Any, Any, tuple[int, ...] | None]:
    """Return the rows of DATA, their labels, and the shape of an image."""
    if data is None:
        if labels is not None:
            raise ValueError(f"--y {labels}: there are no rows to label; pass DATA, too.")
        return None, None, None
    if data.endswith(".safetensors"):
        raise ValueError(f"{data}: is a model, not data; pass MODEL first, then DATA.")
    rows = align_columns(model, open_data(data, labels, columns=False), data)
    y = rows.y if rows.y is not None and (rows.y.ndim == 1 or model.conditional) else None
    return rows.X, y, rows.image_shape
