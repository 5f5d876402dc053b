"""Run the worked examples, and put what they print, and the pictures that they draw, into docs/.

python benchmarks/example_pages.py
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
_BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n*```text\n.*?^```\n)?", re.DOTALL | re.MULTILINE)


def rewritten(page: str) -> str:
    """Return a page with the output of its code, which is run in the present folder."""
    names: dict[str, object] = {"__name__": "__main__"}

    def run(match: re.Match[str]) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(match["code"], "page", "exec"), names)
        printed = "\n".join(line.rstrip() for line in out.getvalue().splitlines())
        return f"```python\n{match['code']}```\n" + (f"```text\n{printed}\n```\n" if printed else "")

    return _BLOCK.sub(run, page)


def main() -> None:
    for path in sorted(DOCS.glob("examples_*.md")):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            path.write_text(rewritten(path.read_text()))
            for picture in Path(folder).glob("*.png"):
                shutil.copy(picture, DOCS / "images" / picture.name)
        print(path.name)


if __name__ == "__main__":
    main()
