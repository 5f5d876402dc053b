"""Operators that ONNX or onnxruntime lacks, by others that they have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["decompositions", "translations"]

_SHIFT = 8  # Stirling's series has eleven digits from 8 on
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def _lgamma(x: Tensor) -> Tensor:
    r"""Return log Gamma(x) of x > 0, by Stirling's series at x + 8.

    .. math:: \log \Gamma(x) = \log \Gamma(x + 8) - \log \big( x (x + 1) \cdots (x + 7) \big)
    """
    shifted = x + _SHIFT
    below = torch.zeros_like(x)
    for first in range(0, _SHIFT, 4):  # products of four, which do not overflow
        below = below + (x + first).log() + ((x + first + 1) * (x + first + 2) * (x + first + 3)).log()
    inverse = 1 / shifted
    square, series = inverse.square(), torch.zeros_like(x)
    for coefficient in reversed(_STIRLING):
        series = series * square + coefficient
    stirling = (shifted - 0.5) * shifted.log() - shifted + 0.5 * math.log(2 * math.pi) + series * inverse
    return stirling - below


def _elu(x: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Tensor:
    """Return the activation ELU, which onnxruntime computes in float32 only."""
    return scale * torch.where(x > 0, x, alpha * ((x.clamp(max=0.0) * input_scale).exp() - 1))


def _softplus(x: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:  # noqa: ARG001 - nothing overflows
    """Return the activation softplus, which onnxruntime computes in float32 only."""
    return (x.clamp(min=0.0) * beta + (1 + (-(x * beta).abs()).exp()).log()) / beta


def _hypot(a: Tensor, b: Tensor) -> Tensor:
    """Return the square root of a^2 + b^2, without a square that overflows."""
    a, b = a.abs(), b.abs()
    large = torch.maximum(a, b).clamp(min=torch.finfo(a.dtype).tiny)
    return large * (1 + (torch.minimum(a, b) / large).square()).sqrt()


def _solve_triangular(a: Tensor, b: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """Return the solution of a x = b for a triangular matrix, row by row."""
    if not left or unitriangular:
        raise NotImplementedError("only a x = b is written as ONNX.")
    n = a.shape[-1]
    rows: dict[int, Tensor] = {}
    for i in reversed(range(n)) if upper else range(n):
        rest = b[..., i, :]
        for j, solved in rows.items():
            rest = rest - a[..., i, j, None] * solved
        rows[i] = rest / a[..., i, i, None]
    return torch.stack([rows[i] for i in range(n)], -2)


def decompositions(dtype: torch.dtype) -> dict[Any, Callable[..., Any]]:
    """Return the operators to replace in graphs that compute in a dtype."""
    aten = torch.ops.aten
    replaced: dict[Any, Callable[..., Any]] = {
        aten.hypot.default: _hypot,
        aten.lgamma.default: _lgamma,
        aten.linalg_solve_triangular.default: _solve_triangular,
    }
    if dtype == torch.float64:
        replaced |= {aten.elu.default: _elu, aten.softplus.default: _softplus}
    return replaced


def translations() -> dict[Any, Callable[..., Any]]:
    """Return how operators are written where torch's own way rounds: numbers in formulas become float32 there."""
    import onnx_ir as ir
    from onnxscript import opset20 as op

    def scalar_tensor(
        s: float, dtype: int = ir.DataType.FLOAT.value, layout: str = "", device: str = "", pin_memory: bool = False
    ) -> Any:
        del layout, device, pin_memory  # there is one of each
        value: Any = ir.tensor(s, dtype=ir.DataType(dtype))
        return op.Constant(value=value)

    return {torch.ops.aten.scalar_tensor.default: scalar_tensor}
