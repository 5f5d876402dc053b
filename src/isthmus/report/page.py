"""A self-contained HTML page: pictures as data URIs, no scripts, no external resources."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from isthmus.report.theme import Picture

__all__ = ["Card", "Page", "Section", "Table", "Verdict", "check_installed", "render"]


@dataclass(frozen=True)
class Card:
    """A model at a glance.

    Attributes
    ----------
    key : str
        Anchor of the section that the card links to.
    title, value, metric, comparison : str
        Name of the model, its number, what that measures, and numbers of other models.
    """

    key: str
    title: str
    value: str
    metric: str
    comparison: str


@dataclass(frozen=True)
class Verdict:
    """A sentence of a verdict.

    Attributes
    ----------
    key : str
        Its id.
    title, text : str
        What it is about, and what was found.
    status : {"good", "note", "warning", "none"}
        Which symbol it gets.
    """

    key: str
    title: str
    text: str
    status: str

    @property
    def symbol(self) -> str:
        """A sign that does not need colours."""
        return {"good": "✓", "note": "i", "warning": "!", "none": "–"}[self.status]

    @property
    def word(self) -> str:
        """The status, for screen readers."""
        return {"good": "passed", "note": "note", "warning": "warning", "none": "not computed"}[self.status]


@dataclass(frozen=True)
class Table:
    """A table in a section.

    Attributes
    ----------
    caption : str
        What it shows.
    header, rows : sequences
        Column heads and cells; the first cell of each row is its name.
    numeric : bool
        Whether all other cells are numbers, which are aligned at the right.
    wide : bool
        Whether cells are sentences, which are broken into lines.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes
    ----------
    key : str
        Anchor.
    title, formula, text : str
        Plain text, which is escaped.
    pictures : list of Picture
        Pictures below the text.
    tables : list of Table
        Tables below the pictures.
    """

    key: str
    title: str
    formula: str
    text: str
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """The contents of a page.

    Attributes
    ----------
    title, lead : str
        Heading and introduction.
    cards : list of Card
        Summary of the models.
    header, rows : sequences
        Column heads and rows of the table.
    caption : str
        Text below the table.
    sections : list of Section
        The body.
    facts : dict of str to str
        Versions, seeds and times, at the end.
    verdict : list of Verdict
        Sentences above the sections.
    """

    title: str
    lead: str
    cards: list[Card]
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    sections: list[Section]
    facts: dict[str, str]
    verdict: list[Verdict] = field(default_factory=list)


def check_installed() -> None:
    """Check that the libraries for figures and pages are installed.

    Raises
    ------
    ImportError
        If one is missing; the message names the extra to install.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        message = f'the report needs {error.name}, which is not installed: pip install "isthmus[report]"'
        raise ImportError(message, name=error.name) from error


def render(page: Page) -> str:
    """Return the page as HTML, with all text escaped."""
    check_installed()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("isthmus.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    return environment.get_template("template.html").render(page=page)
