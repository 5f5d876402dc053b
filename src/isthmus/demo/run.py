"""Run the demo: train, measure, print a table and write a report."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from datetime import datetime
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from isthmus import __version__
from isthmus._atomic import atomic_write
from isthmus.demo.digits import split_digits
from isthmus.demo.figures import Figures
from isthmus.demo.models import TrainedModels, train_models
from isthmus.demo.overview import Overview
from isthmus.demo.results import CAPTION, HEADER, Results, compute_results, format_table, table_cells
from isthmus.demo.text import sections
from isthmus.report.page import Card, Page, check_installed, render
from isthmus.report.theme import LIGHT, to_png

__all__ = ["run"]

_TITLE = "Six autoencoders learn handwritten digits"


def run(folder: Path, *, max_epochs: int | None = None, random_state: int = 0) -> None:
    """Fit six models to scikit-learn's digits, print a table of results, and write the models and a report.

    Parameters
    ----------
    folder : Path
        Folder to write, which is made if it does not exist: the six models as ``autoencoder.safetensors`` etc.,
        ``report.html``, and ``demo.png``, an overview in one figure.
    max_epochs : int, optional
        Maximum number of epochs, for a quick run; each model has its own default.
    random_state : int, default=0
        Seed of the split, the noise, the models and the samples.

    Raises
    ------
    ImportError
        If matplotlib or jinja2 is not installed.
    OSError
        If the folder cannot be written.
    """
    check_installed()  # before the training, which takes a minute
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder}: cannot be written; change its permissions or use another.")
    start = time.perf_counter()
    # One thread: the models are small, and two programs that use all cores slow each other down tenfold.
    with threadpool_limits(limits=1):
        digits = split_digits(random_state)
        trained = train_models(digits, max_epochs, random_state)
        _note("computing metrics ...")
        results = compute_results(digits, trained, random_state, thorough=max_epochs is None)
        sys.stdout.write("\n" + format_table(results) + "\n")
        sys.stdout.flush()
        _note("writing the report ...")
        _write(folder, Figures(digits, trained, results), _facts(trained, random_state, start))
    _note(f"done in {time.perf_counter() - start:.0f} s; open {folder / 'report.html'} in a browser.")
    _note(f"To walk through the latent space: isthmus explore {folder / 'vae.safetensors'} digits")


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")


def _write(folder: Path, figures: Figures, facts: dict[str, str]) -> None:
    for name, model in figures.models.items():
        model.save(folder / f"{name}.safetensors")
    with atomic_write(folder / "demo.png") as temporary:
        temporary.write_bytes(to_png(Overview(figures), LIGHT, dpi=100, background="white"))
    html = render(_page(figures, figures.results, facts))
    with atomic_write(folder / "report.html") as temporary:
        temporary.write_text(html, encoding="utf-8")


def _page(figures: Figures, results: Results, facts: dict[str, str]) -> Page:
    digits = figures.digits
    return Page(
        title=_TITLE,
        lead=f"Six models are fitted to {len(digits.train)} handwritten digits of 8 × 8 pixels. All "
        f"errors, densities and accuracies are those of {len(digits.test)} held-out digits.",
        cards=[
            Card(row.key, row.model, *map(_minus, (row.strength.text, row.strength.name, row.strength.comparison_text)))
            for row in results.models.values()
        ],
        header=HEADER,
        rows=[[_minus(cell) for cell in row] for row in table_cells(results)],
        caption=CAPTION,
        sections=sections(figures, results),
        facts=facts,
    )


def _minus(text: str) -> str:
    """Return a text whose numbers have a minus sign; the table on a terminal has hyphens."""
    return re.sub(r"-(?=\d)", "−", text)


def _facts(trained: TrainedModels, random_state: int, start: float) -> dict[str, str]:
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
        "Data": "scikit-learn's digits (UCI optical recognition), with a quarter of each class held out",
        "Seed": f"{random_state} for the split, the noise, the models and the samples",
        "Training": ", ".join(f"{title} {seconds:.1f} s" for title, seconds in trained.seconds.items()),
        "Total": f"{time.perf_counter() - start:.0f} s without the figures, on one thread ({platform.machine()})",
        "Command": "isthmus demo",
    }
