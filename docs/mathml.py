"""Formulas as MathML, which browsers display without scripts and without fonts from elsewhere."""

from __future__ import annotations

import re

from latex2mathml.converter import convert

__all__ = ["mathml"]

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
    tex = re.sub(r"\\tag\{(.*?)\}", r"\\qquad\\text{(\1)}", tex)
    tex = re.sub(r"\\text\{.*?\}", lambda m: m[0].replace(r"\_", "_"), tex)
    html = convert(tex, display="block" if display else "inline")
    if "\\" in html:
        raise ValueError(f"no MathML for this formula: {tex}")
    return _NAME_BEFORE_ARGUMENT.sub(r'\1<mspace width="0.17em" />', html)
