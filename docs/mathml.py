"""A Sphinx extension that renders formulas as MathML, which browsers display without scripts or outside fonts."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

_NAME_BEFORE_ARGUMENT = re.compile(r"(<mi>(?:log|max|exp|tanh|det|tr)</mi>)(?!<mo[ >]|</)")


def mathml(tex: str, *, display: bool) -> str:
    r"""Return the MathML of a formula in LaTeX.

    Raises
    ------
    ValueError
        If a command is unknown: latex2mathml would print its name in the formula.
    """
    if display and r"\\" in tex and r"\begin" not in tex:
        tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
    html = convert(re.sub(r"\\tag\{(.*?)\}", r"\\qquad\\text{(\1)}", tex), display="block" if display else "inline")
    if "\\" in html:
        raise ValueError(f"no MathML for this formula: {tex}")
    return _NAME_BEFORE_ARGUMENT.sub(r'\1<mspace width="0.17em" />', html)


def visit_math(self: Any, node: nodes.math) -> None:
    self.body.append(mathml(node.astext(), display=False))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{mathml(node.astext(), display=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
