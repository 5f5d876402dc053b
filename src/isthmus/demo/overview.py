"""The six models in one picture, for a README."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isthmus import plots
from isthmus.demo.figures import Gallery
from isthmus.demo.results import Row
from isthmus.demo.theme import Theme, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Overview"]


class Overview:
    """The picture, called with a theme as the methods of a :class:`Gallery` are."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery, self.rows = gallery, gallery.measured.rows

    def __call__(self, theme: Theme) -> Figure:
        """Return the figure: a panel for each model with its number below."""
        drawn = figure(12.0, 5.9)
        drawn.get_layout_engine().set(wspace=0.05, hspace=0.04, h_pad=0.1)  # type: ignore[union-attr, call-arg]
        panels = (self._restored, self._sparse, self._denoised, self._contraction, self._plane, self._classes)
        for ax, panel, row in zip(
            drawn.subplots(2, 3, height_ratios=(5, 6)).flat, panels, self.rows.values(), strict=True
        ):
            panel(theme, ax)
            ax.set_anchor("N")  # titles in line, whatever the panels' heights
            ax.set_title(row.model, fontsize=13)
            ax.set_xlabel(_line(row), fontsize=10.5, color=theme.text)
        return drawn

    def _restored(self, theme: Theme, ax: Axes) -> None:
        lines = self.gallery.restored_lines(self.gallery.chosen[:6])
        plots.image_rows(lines, limits=(0, 16), cmap=theme.ink, ax=ax)

    def _denoised(self, theme: Theme, ax: Axes) -> None:
        lines = self.gallery.denoised_lines(self.gallery.chosen[:6])
        plots.image_rows(lines, limits=(0, 16), cmap=theme.ink, ax=ax)

    def _sparse(self, theme: Theme, ax: Axes) -> None:
        k = self.gallery.models["sparse"].k
        counts = sorted({0, 1, 2, min(4, k), k})
        lines = self.gallery.growing(self.gallery.chosen[2:5], counts)
        n = lines.shape[1]
        plots.images(lines.reshape(-1, lines.shape[2]), n_columns=n, limits=(0, 16), cmap=theme.ink, ax=ax)
        ax.set_xticks([9 * i + 3.5 for i in range(n)], ["digit", "mean", *(f"+ {c}" for c in counts[1:])])

    def _contraction(self, theme: Theme, ax: Axes) -> None:
        self.gallery.norms(theme, ax)
        ax.set_box_aspect(0.6)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.set_yticks([])
        ax.set_ylim(0, 1.25 * ax.get_ylim()[1])  # room for the legend
        ax.legend(frameon=False, ncols=2, loc="upper center")

    def _plane(self, theme: Theme, ax: Axes) -> None:  # noqa: ARG002 - all panels have one signature
        digits = self.gallery.digits
        plots.latent_plane(self.gallery.trained.plane.transform(digits.test), digits.y_test, ax=ax)
        ax.set(ylabel="", xticks=[], yticks=[])
        ax.set_box_aspect(0.68)
        ax.margins(y=0.15)  # room for the words below
        ax.text(0, 0, "(test digits in the plane\nof one with 2 units)", fontsize=8.5, transform=ax.transAxes)
        ax.spines[:].set_visible(False)

    def _classes(self, theme: Theme, ax: Axes) -> None:
        model = self.gallery.models["conditional_vae"]
        asked = np.tile(model.classes_, 6)
        plots.images(
            model.sample(len(asked), y=asked, random_state=0), n_columns=10, limits=(0, 16), cmap=theme.ink, ax=ax
        )


def _line(row: Row) -> str:
    return f"{row.good_at}: {row.value_text}\n({row.beside_text})"
