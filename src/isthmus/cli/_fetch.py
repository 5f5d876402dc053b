"""``isthmus data fetch``."""

from __future__ import annotations

import sys

import click

from isthmus._formats import FETCHED

__all__ = ["data"]


@click.group(short_help="Fetch data sets.")
def data() -> None:
    """Fetch data sets, so that the other commands find them by name."""


@data.command(short_help="Fetch a data set.")
@click.argument("name", type=click.Choice(FETCHED[:1]))
@click.option("--to", "folder", metavar="FOLDER", help="Where to put the files; by default where other commands look.")
@click.option("--url", metavar="URL", help="Address of a copy: a folder with the same files.")
def fetch(name: str, folder: str | None, url: str | None) -> None:
    """Fetch a data set, and verify the checksums of its files.

    Files that are already there are not fetched again, and an interrupted download is resumed.

    \b
    isthmus data fetch fashion-mnist
    isthmus fit fashion-mnist --model conditional_vae -o m.safetensors
    isthmus evaluate m.safetensors fashion-mnist-test
    """  # noqa: D301
    from isthmus.data.fetching import fetch as fetch_set

    shown = sys.stderr.isatty()

    def progress(file: str, n_bytes: int) -> None:
        if shown:
            sys.stderr.write(f"\r\x1b[K{file}: {n_bytes / 1e6:.1f} MB")
            sys.stderr.flush()

    try:
        path = fetch_set(name, folder, url=url, progress=progress)
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
    click.echo(f"{name}: is in {path}")
