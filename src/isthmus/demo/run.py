"""The six models of the notes learn handwritten digits: trained, measured, drawn, and put on a page."""

from __future__ import annotations

import os
import platform
import sys
import time
from datetime import datetime
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from isthmus import __version__
from isthmus._atomic import atomic_write
from isthmus.demo import page, results
from isthmus.demo.digits import split_digits
from isthmus.demo.figures import Gallery
from isthmus.demo.models import Trained, train
from isthmus.demo.overview import Overview
from isthmus.demo.text import sections
from isthmus.demo.theme import LIGHT, png

__all__ = ["run"]

_TITLE = "Six autoencoders learn handwritten digits"
_HEADER = ["Model", "K", "MSE", "PCA", "Good at", "In a number", "Beside it"]


def run(folder: Path, *, max_epochs: int | None = None, random_state: int = 0) -> None:
    """Fit the six models to scikit-learn's digits, print a table, and write models and page.

    Parameters
    ----------
    folder : Path
        Folder to write: ``autoencoder.safetensors`` and five more, ``report.html``, and ``demo.png``, the page in one
        picture. It is made if it does not exist.
    max_epochs : int, optional
        Epochs of each model, for a rehearsal; by default what each needs.
    random_state : int, default=0
        Seed of the split, the noise, the models and the draws.

    Raises
    ------
    ImportError
        If matplotlib or jinja2 is missing.
    OSError
        If the folder cannot be written.
    """
    page.require()  # before minutes of training, not after
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder}: cannot be written.")
    start = time.perf_counter()
    # One thread: these models are small, and two programs that both use every core slow each other tenfold.
    with threadpool_limits(limits=1):
        digits = split_digits(random_state)
        trained = train(digits, max_epochs, random_state)
        _note("measuring ...")
        measured = results.measure(digits, trained, random_state, thorough=max_epochs is None)
        sys.stdout.write("\n" + results.table(measured) + "\n")
        sys.stdout.flush()
        _note("drawing the page ...")
        gallery = Gallery(digits, trained, measured)
        _write(folder, gallery, _facts(trained, random_state, start))
    _note(f"done in {time.perf_counter() - start:.0f} s. Open {folder / 'report.html'} in a browser.")


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")


def _write(folder: Path, gallery: Gallery, facts: dict[str, str]) -> None:
    for name, model in gallery.models.items():
        model.save(folder / f"{name}.safetensors")
    with atomic_write(folder / "demo.png") as temporary:
        temporary.write_bytes(png(Overview(gallery), LIGHT, dpi=100, background="white"))
    html = page.render(_page(gallery, facts))
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(html, encoding="utf-8")


def _page(gallery: Gallery, facts: dict[str, str]) -> page.Page:
    measured = gallery.measured
    return page.Page(
        title=_TITLE,
        lead=_lead(gallery),
        cards=[
            page.Card(row.key, row.model, row.value_text, row.good_at, row.beside_text)
            for row in measured.rows.values()
        ],
        header=_HEADER,
        rows=[list(line) for line in results.cells(measured)],
        caption=results.CAPTION,
        sections=sections(gallery, measured),
        facts=facts,
    )


def _lead(gallery: Gallery) -> str:
    digits = gallery.digits
    return (
        f"{len(digits.train)} handwritten digits of 8 × 8 pixels, and what six models make of {len(digits.test)} "
        "others: every number and every picture here was measured on those, in the run that wrote this page."
    )


def _facts(trained: Trained, random_state: int, start: float) -> dict[str, str]:
    import matplotlib as mpl
    import numpy as np
    import sklearn
    import torch

    versions = {
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "NumPy": np.__version__,
        "matplotlib": mpl.__version__,
    }
    return {
        "Written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z") + f" by isthmus {__version__}",
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "Data": "scikit-learn's digits (UCI optical recognition), a quarter of each class held out for the test",
        "Seed": f"{random_state} for the split, the noise, every model and every draw",
        "Training": ", ".join(f"{title} {seconds:.1f} s" for title, seconds in trained.seconds.items()),
        "In all": f"{time.perf_counter() - start:.0f} s until the pictures, on one thread ({platform.machine()})",
        "Again": "isthmus demo",
    }
