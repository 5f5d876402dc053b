"""The page: strings are escaped, and what is missing is named."""

import sys

import pytest

from isthmus.demo import page
from isthmus.demo.theme import LIGHT, Picture, draw, figure, png

HOSTILE = "<script>alert('1')</script>\"&"


@pytest.fixture
def hostile():
    """A page with the hostile string wherever a string may stand."""
    picture = Picture(HOSTILE, HOSTILE, b"light", b"dark", 10, chart=True)
    return page.Page(
        title=HOSTILE,
        lead=HOSTILE,
        cards=[page.Card(*[HOSTILE] * 5)],
        header=[HOSTILE],
        rows=[[HOSTILE]],
        caption=HOSTILE,
        sections=[page.Section(HOSTILE, HOSTILE, HOSTILE, HOSTILE, [picture])],
        facts={HOSTILE: HOSTILE},
    )


def test_hostile_strings_are_escaped(hostile):
    html = page.render(hostile)
    assert "<script" not in html
    assert "alert('1')" not in html
    assert html.count("&lt;script&gt;") == 19  # the title twice, and every other string once


def test_an_empty_page_has_no_empty_parts():
    html = page.render(page.Page("A title", "A lead", [], [], [], "", [], {}))
    assert "A title" in html
    assert "<nav" not in html
    assert "<table" not in html


@pytest.mark.parametrize("name", ["matplotlib", "jinja2"])
def test_a_missing_library_names_the_extra(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # what `import` takes for "not there"
    with pytest.raises(ImportError, match=r'pip install "isthmus\[report\]"'):
        page.require()


def test_a_picture_is_drawn_once_in_each_theme():
    themes = []

    def drawing(theme):
        themes.append(theme)
        drawn = figure(2.0, 1.0)
        drawn.subplots().plot([0, 1])
        return drawn

    picture = draw(drawing, "a line", "A line.", chart=True)
    assert len(set(themes)) == 2
    assert picture.light != picture.dark
    assert picture.light.startswith(b"\x89PNG")
    assert (picture.width, picture.chart) == (192, True)
    assert png(drawing, LIGHT) == picture.light  # the same drawing gives the same file
    assert png(drawing, LIGHT, background="white") != picture.light


def test_drawing_leaves_matplotlib_as_it_was():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    png(lambda _theme: figure(1.0, 1.0), LIGHT)
    assert dict(mpl.rcParams) == before
