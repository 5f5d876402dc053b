"""Colours of the report's figures on light and dark pages, and figures as PNG files."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DARK", "LIGHT", "Picture", "Theme", "new_figure", "render", "to_png"]

DPI = 160  # sharp on screens with two pixels per CSS pixel


@dataclass(frozen=True)
class Theme:
    """The colours of a figure.

    Attributes
    ----------
    text, line : str
        Colours of text and of axes.
    cmap : str
        Colour map of a digit.
    accent, second, third : str
        Colours of the model that a figure is about, and of those it is compared with.
    """

    text: str
    line: str
    cmap: str
    accent: str
    second: str
    third: str

    def settings(self) -> Any:
        """Return matplotlib's settings for the theme."""
        return {
            "text.color": self.text,
            "axes.labelcolor": self.text,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.edgecolor": self.line,
            "axes.facecolor": "none",
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "xtick.color": self.text,
            "ytick.color": self.text,
            "grid.color": self.line,
            "font.size": 10,
        }


LIGHT = Theme("#1c2733", "#8a97a5", "gray_r", "#c2410c", "#3f6fb5", "#8a97a5")
DARK = Theme("#e4e9ee", "#77838f", "gray", "#ff9a5c", "#7fb2f0", "#8a97a5")


@dataclass(frozen=True)
class Picture:
    """A figure rendered for light and for dark pages.

    Attributes
    ----------
    alt : str
        Description for screen readers.
    caption : str
        Text below the picture.
    light, dark : bytes
        PNG files.
    width : int
        Maximum width in CSS pixels.
    chart : bool
        Whether it has small text: it then scrolls on a narrow screen instead of shrinking.
    """

    alt: str
    caption: str
    light: bytes
    dark: bytes
    width: int
    chart: bool = False


# Of the palette of isthmus.plots, on dark pages.
_ON_DARK = {"#bd1f01": "#ff7a5c", "#832db6": "#c792ea", "#a96b59": "#d39a88", "#717581": "#a5a9b5"}


def brighten(figure: Figure) -> None:
    """Replace colours of plots that are hard to see on a dark page by brighter ones of the same hue."""
    from matplotlib.collections import PathCollection
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    for line in figure.findobj(Line2D):
        line.set_color(_ON_DARK.get(to_hex(line.get_color()), line.get_color()))
    for patch in figure.findobj(Patch):
        for color, put in ((patch.get_edgecolor(), patch.set_edgecolor), (patch.get_facecolor(), patch.set_facecolor)):
            if to_hex(color) in _ON_DARK:
                put(_ON_DARK[to_hex(color)])
    for points in figure.findobj(PathCollection):
        colors = points.get_facecolor()
        if len(colors) == 1 and to_hex(colors[0]) in _ON_DARK:
            points.set_facecolor(_ON_DARK[to_hex(colors[0])])


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; sizes are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def render(draw: Callable[[Theme], Figure], alt: str, caption: str, *, chart: bool = False) -> Picture:
    """Return the figure that `draw` makes, in both themes."""
    light, dark = (to_png(draw, theme) for theme in (LIGHT, DARK))
    (width,) = struct.unpack(">I", light[16:20])  # the position of the width in a PNG file
    return Picture(alt, caption, light, dark, round(96 * width / DPI), chart)


def to_png(draw: Callable[[Theme], Figure], theme: Theme, *, dpi: int = DPI, background: str = "none") -> bytes:
    """Return the figure that `draw` makes as a PNG file, transparent unless a background is given."""
    import matplotlib as mpl

    # rc_context restores the user's settings; no other thread of the demo draws.
    with mpl.rc_context(theme.settings()), io.BytesIO() as stream:
        figure = draw(theme)
        if theme is DARK:
            brighten(figure)
        figure.savefig(stream, format="png", dpi=dpi, facecolor=background, metadata={"Software": None})
        return stream.getvalue()
