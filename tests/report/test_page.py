"""The page: text is escaped, and a missing library is named."""

import sys

import pytest

from isthmus.report import page
from isthmus.report.theme import LIGHT, Picture, new_figure, render, to_png

HOSTILE = "<script>alert('1')</script>\"&"


@pytest.fixture
def hostile():
    """A page with the hostile string in every field."""
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


def test_text_is_escaped(hostile):
    html = page.render(hostile)
    assert "<script" not in html
    assert "alert('1')" not in html
    assert html.count("&lt;script&gt;") == 19  # the title twice, and every other string once


def test_an_empty_page_has_no_empty_elements():
    html = page.render(page.Page("A title", "A lead", [], [], [], "", [], {}))
    assert "A title" in html
    assert "<nav" not in html
    assert "<table" not in html


@pytest.mark.parametrize("name", ["matplotlib", "jinja2"])
def test_a_missing_library_names_the_extra(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)  # makes `import` fail
    with pytest.raises(ImportError, match=r'pip install "isthmus\[report\]"'):
        page.check_installed()


def test_a_picture_is_rendered_in_both_themes():
    themes = []

    def draw(theme):
        themes.append(theme)
        figure = new_figure(2.0, 1.0)
        figure.subplots().plot([0, 1])
        return figure

    picture = render(draw, "a line", "A line.", chart=True)
    assert len(set(themes)) == 2
    assert picture.light != picture.dark
    assert picture.light.startswith(b"\x89PNG")
    assert (picture.width, picture.chart) == (192, True)
    assert to_png(draw, LIGHT) == picture.light  # deterministic
    assert to_png(draw, LIGHT, background="white") != picture.light


def test_rendering_does_not_change_matplotlib_settings():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    to_png(lambda _theme: new_figure(1.0, 1.0), LIGHT)
    assert dict(mpl.rcParams) == before
