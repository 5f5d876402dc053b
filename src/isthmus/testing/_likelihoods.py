"""The check of likelihoods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import gradcheck

from isthmus._random import seeded
from isthmus.likelihoods import Likelihood
from isthmus.testing._parts import check_part
from isthmus.testing._state import check_state
from isthmus.testing._tools import BATCH_SHAPES, agreement, close, grid, normal, perturb, require

__all__ = ["check_likelihood"]

_Reference = Callable[[Any, np.ndarray, np.ndarray], np.ndarray]


def check_likelihood(
    likelihood: Likelihood,
    n_features: int = 3,
    *,
    support: tuple[float, float] = (-np.inf, np.inf),
    log_prob: _Reference | None = None,
    mean_is_mode: bool = False,
) -> None:
    """Check a likelihood: shapes, integral (or sum) of one, mean, samples, missing cells and gradients.

    Parameters
    ----------
    likelihood : Likelihood
        An unbuilt likelihood, with the hyperparameters that ``set_from_data`` would set.
    n_features : int, default=3
        D to build it for.
    support : tuple of float, default=(-inf, inf)
        Smallest and largest value of a cell; if ``density`` is False, whole numbers between them.
    log_prob : callable, optional
        ``(built, h, x) -> ndarray`` of shape (N, D): an independent log-probability to compare with, for instance
        scipy's, for decoder outputs h (N, n_outputs) and samples x (N, D).
    mean_is_mode : bool, default=False
        Whether ``mean`` is the most probable value, for levels that have no mean.

    Examples
    --------
    >>> from scipy import stats
    >>> from isthmus.likelihoods import Bernoulli
    >>> def log_prob(built, h, x):
    ...     return stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-h)))
    >>> check_likelihood(Bernoulli(), support=(0, 1), log_prob=log_prob)
    """
    check_part(likelihood)
    built = likelihood.clone()
    built.build(n_features)
    perturb(built)
    h = 1.5 * normal(4, built.n_outputs)
    _likelihood_shapes(built, h)
    with seeded(0), torch.no_grad():
        x = built.sample(h[0].expand(5000, -1))
        rows = built.sample(h)
    require(built.supports(x).all(), f"{built!r}: samples must lie in the support.")
    zero = torch.zeros_like(x[0])
    for mean in [x.mean(0), zero] if built.supports(zero).all() else [x.mean(0)]:
        start = built.initial_output(mean)
        shaped = start.shape == (built.n_outputs,) and start.isfinite().all()
        require(shaped, f"{built!r}: initial_output must be finite and (n_outputs,) for features of mean {mean}.")
    require(not built.supports(torch.full_like(x, torch.nan)).any(), f"{built!r}: NaN must not lie in the support.")
    if built.interval_support:
        between = built.supports((x + x.flip(0)) / 2).all()
        require(between, f"{built!r}: interval_support=True, so numbers between two samples must be supported.")
    _likelihood_input(built, x)
    _likelihood_mass(built, h[0], x, support, mean_is_mode)
    if log_prob is not None:
        expected = torch.from_numpy(np.asarray(log_prob(built, h.numpy(), rows.numpy())))
        close(built.log_prob(h, rows), expected, f"{built!r}: log_prob must be the reference's.")
    _likelihood_state(likelihood, n_features, h, rows)
    inputs = (h.requires_grad_(), *(p for p in built.parameters()))
    _likelihood_mask(built, inputs, rows)
    agrees = gradcheck(lambda h, *_: built.log_prob(h, rows), inputs, raise_exception=False)
    require(agrees, f"{built!r}: the gradient of log_prob must agree with finite differences.")
    far = (torch.tensor([-1.0, 1.0]) * 50).unsqueeze(-1).expand(2, built.n_outputs).clone().requires_grad_()
    value = built.float().log_prob(far, rows[:1].float())
    (slope,) = torch.autograd.grad(value.sum(), far)
    require(
        value.isfinite().all() and slope.isfinite().all(),
        f"{built!r}: must be finite in float32 at outputs +-50.",
    )


def _likelihood_state(p: Likelihood, n_features: int, h: Tensor, x: Tensor) -> None:
    seen = p.clone()
    seen.set_from_data(x)
    seen.build(n_features)
    perturb(seen)

    def outputs(part: Any, inputs: list[Tensor]) -> list[Tensor]:
        h, x = inputs
        return [part.log_prob(h, x), part.mean(h), part.encoder_input(x), part.initial_output(x[0])]

    check_state(seen, lambda part: part.build(n_features), outputs, h, x)


def _likelihood_shapes(p: Likelihood, h: Tensor) -> None:
    for lead in BATCH_SHAPES:
        outputs = h[0].expand(*lead, -1) if len(lead) != 1 else h
        with seeded(0):
            x = p.sample(outputs)
        with seeded(0):
            written = p.sample_into(torch.full_like(x, torch.nan), outputs)
        require(torch.equal(written, x), f"{p!r}: sample_into must write what sample draws.")
        shapes = {tuple(v.shape) for v in (x, p.mean(outputs), p.log_prob(outputs, x))}
        require(shapes == {(*lead, p.n_features)}, f"{p!r}: shapes must be (..., D) for outputs (..., n_outputs).")
        require(p.row_log_prob(outputs, x).shape == lead, f"{p!r}: row_log_prob must have shape (...).")
        require(p(outputs).batch_shape == (*lead, p.n_features), f"{p!r}: forward must have batch shape (..., D).")
        general = p(outputs).log_prob(x)  # torch's own series are accurate to about 1e-7
        close(p.log_prob(outputs, x), general, f"{p!r}: log_prob must be forward's.", rtol=1e-6, atol=1e-6)
        require(x.dtype == h.dtype and p.mean(outputs).dtype == h.dtype, f"{p!r}: must keep the dtype of the outputs.")
    draws = p.log_prob(h.expand(3, *h.shape), x[0])  # (S, N, D) from outputs (S, N, ...) and samples (N, D)
    require(draws.shape == (3, 4, p.n_features), f"{p!r}: samples must broadcast over draws.")


def _likelihood_input(p: Likelihood, x: Tensor) -> None:
    for values in (x, normal(*x.shape), torch.zeros_like(x)):  # a corruption may give the encoder any number
        inputs = p.encoder_input(values)
        shape = (*x.shape[:-1], p.n_inputs)
        require(inputs.shape == shape, f"{p!r}: encoder_input must have shape (..., n_inputs).")
        require(p.input_columns().shape == shape[-1:], f"{p!r}: input_columns must have shape (n_inputs,).")
        require(inputs.isfinite().all(), f"{p!r}: encoder_input must be finite for any finite number.")
    changed = not torch.equal(p.encoder_input(x), x)
    require(changed == p.transforms_input, f"{p!r}: transforms_input must say whether encoder_input changes samples.")


def _likelihood_mask(p: Likelihood, inputs: tuple[Tensor, ...], x: Tensor) -> None:
    """Check that missing cells, whatever they hold, count neither in the value nor in the gradient."""
    h = inputs[0]
    mask = (torch.arange(x.numel()).reshape(x.shape) % 2).to(x)
    mask[0] = 0.0
    expected = torch.where(mask == 1, p.log_prob(h, x), 0.0).sum(-1)
    slopes = torch.autograd.grad(expected.sum(), inputs)
    for filler in (0.0, torch.nan):
        value = p.row_log_prob(h, torch.where(mask == 1, x, filler), mask)
        close(value, expected, f"{p!r}: row_log_prob must not count cells where mask is 0, which hold {filler}.")
        for slope, own in zip(slopes, torch.autograd.grad(value.sum(), inputs), strict=True):
            close(own, slope, f"{p!r}: the gradient must not depend on cells where mask is 0, which hold {filler}.")


def _likelihood_mass(
    p: Likelihood, h: Tensor, samples: Tensor, support: tuple[float, float], mean_is_mode: bool
) -> None:
    points, weights = grid(support, p.density)
    x = points.unsqueeze(-1).expand(-1, p.n_features)
    inside = p.supports(x)
    with torch.no_grad():
        log_p = p.log_prob(h.expand(len(x), -1), torch.where(inside, x, samples[:1]))
    mass = torch.where(inside, log_p.exp(), 0.0) * weights.unsqueeze(-1)  # (G, D)
    close(mass.sum(0), torch.ones_like(mass[0]), f"{p!r}: must integrate to one over {support}.", rtol=1e-7)
    mean = points[mass.argmax(0)] if mean_is_mode else (mass * x).sum(0)
    close(p.mean(h), mean, f"{p!r}: mean must be {'the mode' if mean_is_mode else 'E[x|z]'}.", rtol=1e-6, atol=1e-6)
    for d in range(p.n_features):
        fit = agreement(samples[:, d].numpy(), points.numpy(), mass[:, d].numpy(), p.density)
        require(fit > 1e-3, f"{p!r}: samples of column {d} must agree with log_prob (p = {fit:.2g}).")
