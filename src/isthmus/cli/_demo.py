"""``isthmus demo``."""

from __future__ import annotations

from pathlib import Path

import click

from isthmus.cli._models import loading

__all__ = ["demo"]


@click.command(short_help="Fit all models to handwritten digits.")
@click.option("-o", "--output", metavar="FOLDER", default="isthmus-demo", show_default=True, help="Folder to write.")
def demo(output: str) -> None:
    """Fit all six models to scikit-learn's handwritten digits, compare them in a table, and write a report.

    The folder receives the six models and report.html, which opens in any browser. Takes one to three minutes.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{output}: is a file; pass a folder to -o.")
    with loading():
        from isthmus.demo.run import run
    run(folder)
