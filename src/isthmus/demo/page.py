"""A self-contained HTML page: pictures as data URIs, no script, nothing from outside."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isthmus.demo.theme import Picture

__all__ = ["Card", "Page", "Section", "render", "require"]


@dataclass(frozen=True)
class Card:
    """A model at a glance.

    Attributes
    ----------
    key : str
        The section that it leads to.
    title, number, what, beside : str
        Its name, its number, of what, and the numbers to compare it with.
    """

    key: str
    title: str
    number: str
    what: str
    beside: str


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    key : str
        Its anchor.
    title, formula, text : str
        Plain text, which is escaped.
    pictures : list of Picture
        Shown one below the other.
    """

    key: str
    title: str
    formula: str
    text: str
    pictures: list[Picture] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes
    ----------
    title, lead : str
        The heading and the lines below it.
    cards : list of Card
        At the top.
    header, rows : list
        The table: its heads, and its lines of as many cells.
    caption : str
        Of the table.
    sections : list of Section
        The body.
    facts : dict of str to str
        Versions, seeds, times: at the end.
    """

    title: str
    lead: str
    cards: list[Card]
    header: list[str]
    rows: list[list[str]]
    caption: str
    sections: list[Section]
    facts: dict[str, str]


def require() -> None:
    """Check that what draws and writes pages is installed.

    Raises
    ------
    ImportError
        If it is not; the message names the extra.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        raise ImportError(f'{error.name} is missing, and the report needs it: pip install "isthmus[report]"') from error


def render(page: Page) -> str:
    """Return the page as HTML; every string of it is escaped."""
    require()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("isthmus.demo", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment.get_template("template.html").render(page=page)


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
