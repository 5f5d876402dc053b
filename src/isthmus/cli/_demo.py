"""``isthmus demo``."""

from __future__ import annotations

from pathlib import Path

import click

from isthmus.cli._models import loading

__all__ = ["demo"]


@click.command(short_help="Fit all six models to handwritten digits.")
@click.option("-o", "--output", metavar="FOLDER", default="isthmus-demo", show_default=True, help="Folder to write.")
def demo(output: str) -> None:
    """Fit all six models to scikit-learn's handwritten digits, print what each is good at, and write a page of it.

    The folder gets the six models and report.html, which opens in any browser. Takes about two minutes on two cores.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{output}: is a file; name a folder with -o.")
    with loading():
        from isthmus.demo.run import run
    run(folder)
