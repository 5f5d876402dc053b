"""The code in README.md and docs/ runs, and prints what the pages show.

A page is one session: its blocks run in order, in one folder and one namespace. A ``text`` block that follows is the
expected output; its numbers may differ by 5 %, since processors round differently. A block that is not run has a
comment before it that says why: ``<!-- not run: needs two machines -->``.
"""

import contextlib
import io
import math
import re
import shlex
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isthmus.cli import main
from isthmus.data import MissingFileError, read

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]
PAGES.remove("docs/notes.md")  # its code is cut out of benchmarks/notes.py, which tests/benchmarks/test_notes.py runs
PAGES.remove("docs/notes.template.md")

_BLOCK = re.compile(
    r"(?P<mark><!-- not run: \w[^>]+ -->\n\n?)?^ *```(?P<language>\w*)\n(?P<code>.*?)^ *```$"
    r"(?:\n+```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")


def blocks(page):
    text = (ROOT / page).read_text()
    for match in _BLOCK.finditer(text):
        if match["language"] in {"python", "sh"}:
            yield text.count("\n", 0, match.start("code")) + 1, match


def run(block, where, names):
    if block["language"] == "python":
        exec(compile(textwrap.dedent(block["code"]), where, "exec"), names)
        return
    for line in block["code"].replace("\\\n", " ").splitlines():
        command, *arguments = shlex.split(line, comments=True) or [""]
        if command:
            assert command == "isthmus", f"{where}: mark what is no isthmus command with <!-- not run: reason -->"
            assert main(arguments) == 0, f"{where}: {line}"


def alike(printed, shown):
    """Return whether two texts are the same but for white space and small differences of numbers."""
    if _NUMBER.sub("0", printed).split() != _NUMBER.sub("0", shown).split():
        return False
    pairs = zip(_NUMBER.findall(printed), _NUMBER.findall(shown), strict=True)
    return all(
        math.isclose(float(a.replace(",", "")), float(b.replace(",", "")), rel_tol=0.05, abs_tol=0.02) for a, b in pairs
    )


@pytest.mark.parametrize("page", PAGES)
def test_code_of_page(page, tmp_path, monkeypatch):
    if 'read("fashion-mnist")' in (ROOT / page).read_text():
        try:
            read("fashion-mnist")
        except MissingFileError as error:
            pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for line, block in blocks(page):
        if block["mark"]:
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            run(block, f"{page}:{line}", names)
        if block["output"] is not None:
            assert alike(out.getvalue(), block["output"]), f"{page}:{line} prints\n{out.getvalue()}"
    for picture in tmp_path.glob("example_*.png"):
        shown = ROOT / "docs" / "images" / picture.name
        assert difference(picture, shown) < 8, f"{picture.name}: {page} draws another; see benchmarks/example_pages.py"


def difference(picture, other):
    """Return the mean difference of two pictures in grey levels of 0 to 255, blurred by the size of a letter."""
    pixels = [np.asarray(Image.open(path).convert("L").resize((64, 64)), dtype=float) for path in (picture, other)]
    return np.abs(pixels[0] - pixels[1]).mean()


def test_no_code_is_overlooked():
    """Code stands in fenced blocks that name their language, so that no block escapes the test above."""
    for page in PAGES:
        languages = re.findall(r"^ *```(\S*)\n.*?^ *```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
        assert set(languages) <= {"python", "sh", "text", "json", "math", "{eval-rst}", "{toctree}"}, page


def test_numbers_may_differ_a_little_and_words_may_not():
    assert alike("(450, 8)\nlog p(x) -131.4", "(450, 8)\nlog p(x)  -130.9\n")
    assert not alike("log p(x) -131.4", "log p(x) -100.0")
    assert not alike("log p(x) -131.4", "ELBO -131.4")
