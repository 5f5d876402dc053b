"""Colours of the report's pictures, on a light and on a dark page, and figures turned into PNG."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DARK", "LIGHT", "Picture", "Theme", "draw", "figure", "png"]

DPI = 160  # sharp on a screen with two dots a pixel


@dataclass(frozen=True)
class Theme:
    """Colours of text and ink.

    Attributes
    ----------
    text, line : str
        Of words, and of axes.
    ink : str
        Colour map of a digit.
    accent, other, third : str
        Of the model that a picture is about, and of those it is compared with.
    """

    text: str
    line: str
    ink: str
    accent: str
    other: str
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
    """A picture for light and for dark pages.

    Attributes
    ----------
    alt : str
        What it shows, for who cannot see it.
    caption : str
        What stands below it.
    light, dark : bytes
        PNG files.
    width : int
        Width at which it is shown at most, in CSS pixels.
    chart : bool
        Whether it has small text: it then scrolls on a narrow screen instead of shrinking.
    """

    alt: str
    caption: str
    light: bytes
    dark: bytes
    width: int
    chart: bool = False


def figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def draw(drawing: Callable[[Theme], Figure], alt: str, caption: str, *, chart: bool = False) -> Picture:
    """Return a picture of what `drawing` draws, once in each theme."""
    light, dark = (png(drawing, theme) for theme in (LIGHT, DARK))
    (width,) = struct.unpack(">I", light[16:20])  # where every PNG has it
    return Picture(alt, caption, light, dark, round(96 * width / DPI), chart)


def png(drawing: Callable[[Theme], Figure], theme: Theme, *, dpi: int = DPI, background: str = "none") -> bytes:
    """Return what `drawing` draws as a PNG file, without a background unless one is named."""
    import matplotlib as mpl

    # rc_context puts the user's own settings back; the demo is a program of its own, and no thread draws beside it.
    with mpl.rc_context(theme.settings()), io.BytesIO() as stream:
        drawing(theme).savefig(stream, format="png", dpi=dpi, facecolor=background, metadata={"Software": None})
        return stream.getvalue()
