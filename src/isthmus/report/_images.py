"""The pictures of a report on a model of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus import plots
from isthmus.assessment import Examination
from isthmus.report.theme import Picture, Theme, new_figure, render

__all__ = ["odd_images", "reconstructed_images", "sampled_images", "traversed_images"]

Array = np.ndarray

_N = 10  # images in a line
_TILE = 0.72  # inches
_MARGIN = 1.1  # for the names at the left
_FEW = 6  # images in a line that fit a phone


def _lines(
    examination: Examination, lines: dict[str, Array], image_shape: tuple[int, ...], alt: str, caption: str
) -> Picture:
    """Return a picture of lines of images."""
    X = np.asarray(examination.context.X)
    limits = (float(np.nanmin(X)), float(np.nanmax(X)))
    n = len(next(iter(lines.values())))
    ratio = image_shape[-2] / image_shape[-1]

    def draw(theme: Theme) -> Any:
        figure = new_figure(_MARGIN + _TILE * n, 0.15 + _TILE * ratio * len(lines))
        plots.image_rows(lines, image_shape=image_shape, limits=limits, cmap=theme.cmap, ax=figure.subplots())
        return figure

    return render(draw, alt, caption, chart=n > _FEW)


def reconstructed_images(examination: Examination, image_shape: tuple[int, ...]) -> Picture:
    """Draw rows that are reconstructed best, as usual and worst."""
    error = np.asarray(examination.context.call("reconstruction_error"), dtype=np.float64)
    order, n = np.argsort(error, kind="stable"), min(_N, len(error))
    middle = max(0, len(order) // 2 - n // 2)
    lines = {}
    for name, index in (("best", order[:n]), ("typical", order[middle : middle + n]), ("worst", order[::-1][:n])):
        lines[name] = np.nan_to_num(np.asarray(examination.context.rows(index)))
        # names are unique, and spaces are invisible: names end at the images
        lines[" " * len(lines) + "rebuilt"] = np.asarray(examination.context.call("reconstruct", index))
    return _lines(
        examination,
        lines,
        image_shape,
        f"{n} images each that are reconstructed best, as usual and worst, with their reconstructions below.",
        "Images with the smallest, the median and the largest −log p(x|code), and their reconstructions.",
    )


def sampled_images(examination: Examination, image_shape: tuple[int, ...]) -> Picture:
    """Draw rows and samples of the model."""
    n = min(_N, len(examination.scores) // 2)
    rng = np.random.default_rng(examination.context.seed)
    rows = np.nan_to_num(np.asarray(examination.context.X)[rng.permutation(len(examination.scores))[: 2 * n]])
    drawn = np.asarray(examination.samples)
    lines = {"rows": rows[:n], " ": rows[n : 2 * n], "samples": drawn[:n], "  ": drawn[n : 2 * n]}
    alt = f"{2 * n} images of the data, and {2 * n} samples of the model."
    return _lines(examination, lines, image_shape, alt, "Images of the data, and samples drawn from the model.")


def traversed_images(examination: Examination, image_shape: tuple[int, ...]) -> Picture:
    """Draw what happens when one unit changes."""
    X, estimator = np.asarray(examination.context.X), examination.context.estimator
    n_units = min(8, examination.codes.shape[1])
    limits = (float(np.nanmin(X)), float(np.nanmax(X)))
    ratio = image_shape[-2] / image_shape[-1]

    def draw(theme: Theme) -> Any:
        figure = new_figure(_MARGIN + _TILE * 9, 0.15 + _TILE * ratio * n_units)
        plots.traversals(
            estimator, examination.codes, image_shape=image_shape, limits=limits, cmap=theme.cmap, ax=figure.subplots()
        )
        return figure

    alt = f"Nine images for each of {n_units} latent units, as the unit goes from small to large values."
    caption = "Each unit goes from its 1 % to its 99 % quantile; all others keep their values in a typical row."
    return render(draw, alt, caption, chart=True)


def odd_images(examination: Examination, image_shape: tuple[int, ...]) -> Picture:
    """Draw the least likely rows, their reconstructions, and the pixels that the model finds odd."""
    place = np.searchsorted(examination.index, [row.row for row in examination.odd])
    X = np.asarray(examination.context.X, dtype=np.float64)
    errors = np.nan_to_num(np.asarray(examination.context.call("feature_errors", place), dtype=np.float64))
    usual = np.nanmedian(np.asarray(examination.context.call("feature_errors")), axis=0)
    odd = np.clip(errors - np.nan_to_num(usual), 0, None)
    low, high = float(np.nanmin(X)), float(np.nanmax(X))
    odd = low + (high - low) * odd / np.maximum(odd.max(axis=1, keepdims=True), 1e-12)
    lines = {
        "odd rows": np.nan_to_num(X[place]),
        "rebuilt": np.asarray(examination.context.call("reconstruct", place)),
        "odd pixels": odd,
    }
    numbers = ", ".join(str(row.row) for row in examination.odd)
    alt = f"The {len(examination.odd)} least likely images, their reconstructions, and where they are odd."
    return _lines(
        examination,
        lines,
        image_shape,
        alt,
        f"Rows {numbers}. Odd pixels have a −log p far above the median of all rows.",
    )
