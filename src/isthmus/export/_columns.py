"""The codec of a table inside a graph: numbers and codes to the matrix that the model learned, and back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from isthmus.export._inputs import inputs_of
from isthmus.tables import CategoryColumn, ConstantColumn, NumberColumn, TableCodec
from isthmus.tables._spline import NormalScores

__all__ = ["ColumnsModule", "Encoded", "PlainColumns", "TableColumns"]


class Encoded(NamedTuple):
    """Samples as the model learned them, in the data's units.

    Attributes
    ----------
    matrix : Tensor of shape (N, D)
        Numbers, 0 where missing.
    observed : Tensor of shape (N, D)
        Where a number was observed, as booleans.
    gain : Tensor of shape (N, D)
        What log p of each number gains in the units of the table.
    """

    matrix: Tensor
    observed: Tensor
    gain: Tensor


class ColumnsModule(nn.Module):
    """Base of what maps a graph's input to the model's samples, and back."""

    def encode(self, x: Tensor) -> Encoded:
        """Return the samples of an input (N, F)."""
        raise NotImplementedError

    def decode(self, matrix: Tensor) -> Tensor:
        """Return the input (N, F) of samples (N, D)."""
        raise NotImplementedError


class PlainColumns(ColumnsModule):
    """Arrays of numbers, which are samples as they are."""

    def encode(self, x: Tensor) -> Encoded:
        """Return the samples of an input (N, D)."""
        observed = ~torch.isnan(x)
        return Encoded(torch.where(observed, x, 0.0), observed, torch.zeros_like(x))

    def decode(self, matrix: Tensor) -> Tensor:
        """Return the samples."""
        return matrix


class TableColumns(ColumnsModule):
    """The columns of a table.

    Parameters
    ----------
    codec : TableCodec
        Fitted.
    """

    def __init__(self, codec: TableCodec) -> None:
        super().__init__()
        inputs = inputs_of(codec)
        self.leaves = nn.ModuleList(_module_of(own.leaf) for own in inputs)
        names = [own.column.name for own in inputs]
        learned = [column.name for column in codec.columns_with_missing()]
        self.with_missing = [names.index(name) for name in learned]  # the first element says whether it is missing
        self.widths = [len(own.leaf.outputs()) for own in inputs]

    def encode(self, x: Tensor) -> Encoded:
        """Return the samples of an input (N, F)."""
        parts = [leaf(x[:, i]) for i, leaf in enumerate(self.leaves)]
        gone = torch.isnan(x)[:, self.with_missing]
        matrix = torch.cat([*(part.matrix for part in parts), gone.to(x)], 1)
        observed = torch.cat([*(part.observed for part in parts), torch.ones_like(gone)], 1)
        gain = torch.cat([*(part.gain for part in parts), torch.zeros_like(gone).to(x)], 1)
        return Encoded(matrix, observed, gain)

    def decode(self, matrix: Tensor) -> Tensor:
        """Return the input (N, F) of samples (N, D)."""
        *parts, gone = matrix.split([*self.widths, len(self.with_missing)], dim=1)
        values = [leaf.decode(part) for leaf, part in zip(self.leaves, parts, strict=True)]  # type: ignore[operator]
        del gone  # `inverse_transform` fills every cell
        return torch.stack(values, 1)


def _module_of(leaf: object) -> nn.Module:
    if isinstance(leaf, NumberColumn):
        return _Numbers(leaf)
    assert isinstance(leaf, (CategoryColumn, ConstantColumn))
    return _Codes(len(leaf.values) + (leaf.unseen == "other") if isinstance(leaf, CategoryColumn) else 1)


class _Codes(nn.Module):
    """Numbers of levels, as they are."""

    def __init__(self, n_levels: int) -> None:
        super().__init__()
        self.n_levels = n_levels

    def forward(self, x: Tensor) -> Encoded:
        observed = ~torch.isnan(x)
        code = torch.where(observed, x, 0.0)[:, None]
        return Encoded(code, observed[:, None], torch.zeros_like(code))

    def decode(self, matrix: Tensor) -> Tensor:
        return matrix[:, 0].round().clamp(0, self.n_levels - 1)


class _Numbers(nn.Module):
    """Normal scores of numbers, and levels of frequent values, as :class:`NumberColumn` makes them."""

    spikes: Tensor

    def __init__(self, column: NumberColumn) -> None:
        super().__init__()
        self.register_buffer("spikes", torch.tensor([0.0, *column.spikes], dtype=torch.float64))
        self.step, self.origin, self.decimals = column.step, column.origin, column.decimals
        self.low, self.high = column.low, column.high
        self.spline = None if column.knots is None else _Spline(NormalScores(*column.knots))

    def forward(self, x: Tensor) -> Encoded:
        observed = ~torch.isnan(x)
        numbers = torch.where(observed, x, 0.0)
        level = ((numbers[:, None] == self.spikes[1:]) * torch.arange(1, len(self.spikes))).sum(1).to(x)
        own = observed & (level == 0)
        gain = torch.zeros_like(numbers)
        if self.spline is not None:
            numbers, gain = self.spline(torch.where(own, numbers, self.spline.x[0]))
        numbers, gain = torch.where(own, numbers, 0.0), torch.where(own, gain, 0.0)
        if len(self.spikes) == 1:
            return Encoded(numbers[:, None], own[:, None], gain[:, None])
        stacked = [(level, numbers), (observed, own), (torch.zeros_like(gain), gain)]
        return Encoded(*(torch.stack(pair, 1) for pair in stacked))

    def decode(self, matrix: Tensor) -> Tensor:
        numbers = matrix[:, -1]
        if self.spline is not None:
            numbers = self.spline.inverse(numbers)
        if self.step is not None:
            numbers = self.origin + ((numbers - self.origin) / self.step).round() * self.step
        numbers = numbers.clamp(self.low, self.high)
        if self.decimals is not None:
            numbers = (numbers * 10.0**self.decimals).round() / 10.0**self.decimals
        if len(self.spikes) == 1:
            return numbers
        level = matrix[:, 0].round().clamp(0, len(self.spikes) - 1).long()
        return torch.where(level > 0, self.spikes[level], numbers)


class _Spline(nn.Module):
    """The increasing map of :class:`NormalScores`, its log-derivative and its inverse."""

    x: Tensor
    y: Tensor
    slope: Tensor
    knot_slope: Tensor

    def __init__(self, scores: NormalScores) -> None:
        super().__init__()
        for name, values in zip(("x", "y", "slope", "knot_slope"), scores.arrays(), strict=True):
            self.register_buffer(name, torch.from_numpy(values))

    def _piece(self, values: Tensor, knots: Tensor) -> Tensor:
        return ((values[:, None] >= knots).sum(1) - 1).clamp(0, len(self.slope) - 1)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        x, y, k = self.x, self.y, self._piece(values, self.x)
        t = ((values - x[k]) / (x[1:] - x[:-1])[k]).clamp(0.0, 1.0)
        s, left, right, both = self.slope[k], self.knot_slope[k], self.knot_slope[k + 1], t * (1 - t)
        under = s + (left + right - 2 * s) * both
        inside = y[k] + (y[1:] - y[:-1])[k] * (s * t.square() + left * both) / under
        derivative = s.square() * (right * t.square() + 2 * s * both + left * (1 - t).square()) / under.square()
        before, after = (values - x[0]).clamp(max=0.0), (values - x[-1]).clamp(min=0.0)
        return inside + before * self.knot_slope[0] + after * self.knot_slope[-1], derivative.log()

    def inverse(self, scores: Tensor) -> Tensor:
        x, y, k = self.x, self.y, self._piece(scores, self.y)
        height = (y[1:] - y[:-1])[k]
        up = torch.minimum((scores - y[k]).clamp(min=0.0), height)
        s, left, right = self.slope[k], self.knot_slope[k], self.knot_slope[k + 1]
        bend = up * (left + right - 2 * s)
        a, b, c = height * (s - left) + bend, height * left - bend, -s * up
        t = 2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0.0).sqrt())
        before, after = (scores - y[0]).clamp(max=0.0), (scores - y[-1]).clamp(min=0.0)
        beyond = before / self.knot_slope[0] + after / self.knot_slope[-1]
        return x[k] + (x[1:] - x[:-1])[k] * t + beyond
