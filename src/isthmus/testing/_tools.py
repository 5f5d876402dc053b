"""Helpers of the checks: assertions, seeded random numbers, integrals and goodness of fit."""

from __future__ import annotations

import numpy as np
import torch
from numpy.testing import assert_allclose
from scipy import stats
from torch import Tensor, nn

__all__ = ["BATCH_SHAPES", "agreement", "close", "grid", "normal", "perturb", "require"]

BATCH_SHAPES: tuple[tuple[int, ...], ...] = ((), (4,), (3, 4))  # a sample, N samples, S draws for each of N samples


def require(condition: object, promise: str) -> None:
    """Raise an AssertionError with the message `promise` unless the condition holds."""
    if not condition:
        raise AssertionError(promise)


def close(actual: Tensor, expected: Tensor, promise: str, *, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    """Raise an AssertionError with the message `promise` unless the tensors are close."""
    assert_allclose(actual.detach().numpy(), expected.detach().numpy(), rtol=rtol, atol=atol, err_msg=promise)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal draws in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def perturb(module: nn.Module) -> None:
    """Convert parameters to float64, and add noise to them, so that none is at a special value such as 0."""
    module.double()
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.add_(0.1 * normal(*parameter.shape, seed=i + 1))


def grid(support: tuple[float, float], density: bool) -> tuple[Tensor, Tensor]:
    """Return points and weights of an integral over the support, or of a sum over its whole numbers."""
    low, high = support
    if not density:
        x = torch.arange(low, min(high, low + 20_000) + 1, dtype=torch.float64)
        return x, torch.ones_like(x)
    u = torch.linspace(-30, 30, 60_001, dtype=torch.float64)  # by the trapezoidal rule in u
    if np.isfinite(low) and np.isfinite(high):
        x, slope = low + (high - low) * torch.sigmoid(u), (high - low) * torch.sigmoid(u) * torch.sigmoid(-u)
    elif np.isfinite(low):
        x, slope = low + u.exp(), u.exp()
    else:
        x, slope = u.sinh(), u.cosh()
    return x, slope * (u[1] - u[0])


def agreement(samples: np.ndarray, points: np.ndarray, mass: np.ndarray, density: bool) -> float:
    """Return the p-value of a goodness-of-fit test: Kolmogorov-Smirnov for a density, otherwise chi-square."""
    if density:
        below = np.cumsum(mass) - 0.5 * mass
        return float(stats.kstest(samples, lambda v: np.interp(v, points, below)).pvalue)
    possible = mass > 0
    expected = mass[possible] * len(samples)
    counts = np.array([(samples == point).sum() for point in points[possible]])
    rare = expected < 5  # too few for chi-square, so they are counted together
    cells = [np.append(v[~rare], v[rare].sum()) if rare.any() else v for v in (counts, expected)]
    return float(stats.chisquare(cells[0], cells[1] * cells[0].sum() / cells[1].sum()).pvalue)
