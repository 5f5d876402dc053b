"""A smooth increasing map of the real line to normal scores, with its derivative and its inverse."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

__all__ = ["NormalScores"]

_N_KNOTS = (5, 9, 17, 33)  # numbers of knots that are tried, besides none
_FITTED = 100_000  # numbers of which the knots are quantiles; more hardly move them
_HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


class NormalScores(NamedTuple):
    r"""An increasing map T whose values T(x) are about normal: a rational quadratic spline, linear outside its knots.

    T has a continuous derivative, so that

    .. math:: \log p_X(x) = \log p_Y(T(x)) + \log T'(x)

    is a continuous density. Its knots are quantiles of x, and their values those of N(0, 1). With two knots T is
    linear: x minus the mean, divided by the standard deviation.

    Attributes
    ----------
    x, y : tuple of float
        Knots and their values, increasing.

    References
    ----------
    Gregory & Delbourgo (1982), Piecewise Rational Quadratic Interpolation to Monotonic Data; Fritsch & Butland (1984),
    A Method for Constructing Local Monotone Piecewise Cubic Interpolants, for the derivatives at the knots.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def linear(cls, values: np.ndarray) -> Self:
        """Return the map to (x - mean) / standard deviation."""
        mean, scale = float(values.mean()), float(values.std())
        scale = scale if scale > 1e-14 * abs(mean) else 1.0
        return cls((mean - scale, mean + scale), (-1.0, 1.0))

    @classmethod
    def fit(cls, values: np.ndarray, n_mean: int = 1) -> Self:
        """Return the map of finite `values` (N,), with as many knots as the Bayesian information criterion favours.

        A normal sample gets none, so that its scores are those of standardisation. Knots are quantiles of the means of
        `n_mean` neighbouring values: with more than one, no knot is one of the values.
        """
        if len(values) > _FITTED:
            values = np.random.default_rng(0).choice(values, _FITTED, replace=False)
        values = np.sort(values)
        knots = [k for k in _N_KNOTS if k <= len(values) / 4 and n_mean < len(values)]
        means = np.convolve(values, np.full(n_mean, 1 / n_mean), "valid") if n_mean > 1 and knots else values
        fits = [cls.linear(values), *(cls._through_quantiles(means, k) for k in knots)]
        costs = [len(fit.x) / 2 * np.log(len(values)) - fit.log_density(values).sum() for fit in fits]
        return fits[int(np.argmin(costs))]

    @classmethod
    def _through_quantiles(cls, values: np.ndarray, n_knots: int) -> Self:
        """Return the map with knots at quantiles of sorted values, whose scores are equally spaced."""
        from scipy.special import ndtr, ndtri

        top = -float(ndtri(0.625 / (len(values) + 0.25)))  # about the expected largest of as many from N(0, 1)
        y = np.linspace(-top, top, n_knots)
        rank = ndtr(y) * (len(values) + 0.25) - 0.625  # Blom's plotting positions; 0 is the smallest value
        x = np.interp(rank, np.arange(len(values)), values)
        gap = 1e-9 * max(x[-1] - x[0], abs(x).max() * 1e-6, 1e-300)
        kept = np.concatenate([[True], np.diff(np.maximum.accumulate(x)) > gap])
        x, y = x[kept], y[kept]
        return cls(tuple(x.tolist()), tuple(y.tolist())) if len(x) > 1 else cls.linear(values)

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """Return the log-density (N,) of x if T(x) is N(0, 1)."""
        y, log_slope = self.forward(values)
        return -0.5 * y**2 - _HALF_LOG_2PI + log_slope

    def forward(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return T(x) and log T'(x) of x (N,)."""
        x, y, slope, knot_slope = self.arrays()
        k = np.clip(np.searchsorted(x, values, side="right") - 1, 0, len(slope) - 1)
        width = np.diff(x)[k]
        t = np.clip((values - x[k]) / width, 0.0, 1.0)
        s, left, right, both = slope[k], knot_slope[k], knot_slope[k + 1], t * (1 - t)
        under = s + (left + right - 2 * s) * both
        inside = y[k] + np.diff(y)[k] * (s * t**2 + left * both) / under
        derivative = s**2 * (right * t**2 + 2 * s * both + left * (1 - t) ** 2) / under**2
        beyond = np.minimum(values - x[0], 0.0) * knot_slope[0] + np.maximum(values - x[-1], 0.0) * knot_slope[-1]
        return inside + beyond, np.log(derivative)

    def inverse(self, scores: np.ndarray) -> np.ndarray:
        """Return x with T(x) = `scores` (N,)."""
        x, y, slope, knot_slope = self.arrays()
        k = np.clip(np.searchsorted(y, scores, side="right") - 1, 0, len(slope) - 1)
        height = np.diff(y)[k]
        up = np.clip(scores - y[k], 0.0, height)
        s, left, right = slope[k], knot_slope[k], knot_slope[k + 1]
        bend = up * (left + right - 2 * s)
        a, b, c = height * (s - left) + bend, height * left - bend, -s * up
        t = 2 * c / (-b - np.sqrt(np.maximum(b**2 - 4 * a * c, 0.0)))
        beyond = np.minimum(scores - y[0], 0.0) / knot_slope[0] + np.maximum(scores - y[-1], 0.0) / knot_slope[-1]
        return x[k] + np.diff(x)[k] * t + beyond

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return knots, their values, the slope of each piece, and the derivative at each knot."""
        x, y = np.array(self.x), np.array(self.y)
        width = np.diff(x)
        slope = np.diff(y) / width
        before, after = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
        inner = (before + after) / (before / slope[:-1] + after / slope[1:])
        return x, y, slope, np.concatenate([slope[:1], inner, slope[-1:]])
