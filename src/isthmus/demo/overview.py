"""One figure of all models, for the README."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isthmus import plots
from isthmus.demo.figures import GREY_LEVELS, Figures
from isthmus.report.theme import Theme, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Overview"]


class Overview:
    """The figure, called with a theme like the methods of :class:`Figures`."""

    def __init__(self, figures: Figures) -> None:
        self.figures, self.models = figures, figures.models

    def __call__(self, theme: Theme) -> Figure:
        """Draw one panel per model, with its results below."""
        figure = new_figure(12.0, 5.9)
        figure.get_layout_engine().set(wspace=0.05, hspace=0.04, h_pad=0.1)  # type: ignore[union-attr, call-arg]
        axes = figure.subplots(2, 3, height_ratios=(5, 6)).flat
        panels = (
            self._reconstructions,
            self._sparse_sums,
            self._denoising,
            self._contraction,
            self._codes,
            self._class_samples,
        )
        for ax, draw, row in zip(axes, panels, self.figures.results.models.values(), strict=True):
            draw(theme, ax)
            ax.set_anchor("N")  # aligns the titles
            ax.set_title(row.model, fontsize=13)
            label = f"{row.strength.name}: {row.strength.text}\n({row.strength.comparison_text})"
            ax.set_xlabel(label, fontsize=10.5, color=theme.text)
        return figure

    def _reconstructions(self, theme: Theme, ax: Axes) -> None:
        rows = self.figures.reconstruction_rows(self.figures.shown[:6])
        plots.image_rows(rows, limits=GREY_LEVELS, cmap=theme.cmap, ax=ax)

    def _denoising(self, theme: Theme, ax: Axes) -> None:
        rows = self.figures.denoising_rows(self.figures.shown[:6])
        plots.image_rows(rows, limits=GREY_LEVELS, cmap=theme.cmap, ax=ax)

    def _sparse_sums(self, theme: Theme, ax: Axes) -> None:
        k = self.models["sparse"].k
        counts = sorted({0, 1, 2, min(4, k), k})
        rows = self.figures.partial_sums(self.figures.shown[2:5], counts)
        n = rows.shape[1]
        plots.images(rows.reshape(-1, rows.shape[2]), n_columns=n, limits=GREY_LEVELS, cmap=theme.cmap, ax=ax)
        names = ["digit", "mean", "+ 1 unit", *(f"+ {count}" for count in counts[2:])]
        ax.set_xticks([9 * i + 3.5 for i in range(n)], names)

    def _contraction(self, theme: Theme, ax: Axes) -> None:
        self.figures.jacobian_norms(theme, ax)
        ax.set_box_aspect(0.6)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.set_yticks([])
        ax.set_ylim(0, 1.25 * ax.get_ylim()[1])  # space for the legend
        ax.legend(frameon=False, ncols=2, loc="upper center")

    def _codes(self, theme: Theme, ax: Axes) -> None:  # noqa: ARG002 - all panels have one signature
        digits = self.figures.digits
        plots.latent_plane(self.figures.trained.vae_2d.transform(digits.test), digits.y_test, ax=ax)
        ax.set(ylabel="", xticks=[], yticks=[])
        ax.set_box_aspect(0.68)
        ax.margins(y=0.15)  # space for the text below
        ax.text(0, 0, "codes of test digits,\nVAE with 2 units", fontsize=8.5, transform=ax.transAxes)
        ax.spines[:].set_visible(False)

    def _class_samples(self, theme: Theme, ax: Axes) -> None:
        model = self.models["conditional_vae"]
        labels = np.tile(model.classes_, 6)
        samples = model.sample(len(labels), y=labels, random_state=0)
        plots.images(samples, n_columns=10, limits=GREY_LEVELS, cmap=theme.cmap, ax=ax)
