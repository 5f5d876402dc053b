"""log p(x) by importance sampling with its own error: as many draws as one likes in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus.evaluation._weights import WeightSums, tail_length
from isthmus.evaluation.proposal import proposal
from isthmus.evaluation.row_noise import row_noise
from isthmus.model import Model

__all__ = ["Estimate", "log_marginal_estimate", "unreliable"]

# Draws that are made at a time. A constant, so that the numbers do not depend on the memory that was allowed.
_BLOCK = 256


class Estimate(NamedTuple):
    """log p(x) of rows with what tells how far to trust it; all (N,), float64, on the CPU.

    Attributes
    ----------
    value : Tensor of shape (N,)
        The estimate, in nats.
    standard_error : Tensor of shape (N,)
        Of the estimate, in nats, by the delta method: sd(w) / (mean(w) sqrt(S)). NaN for a single draw. It knows only
        the weights that were seen: where the tail is heavy (`pareto_k`) the true error is larger.
    effective_sample_size : Tensor of shape (N,)
        (sum w)^2 / sum w^2, between 1 and S.
    pareto_k : Tensor of shape (N,)
        Shape of the tail of the weights. Their variance is finite below 1/2, their mean below 1; minus infinity where
        the largest weights are all but equal, NaN with too few draws (25) to tell.
    """

    value: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor
    pareto_k: Tensor

    @classmethod
    def of(cls, sums: WeightSums) -> Estimate:
        """Return the estimate that sums over weights give."""
        return cls(sums.log_mean(), sums.standard_error(), sums.effective_sample_size(), sums.pareto_k())


@torch.no_grad()
def log_marginal_estimate(
    model: Model,
    x: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    n_draws: int = 1000,
    proposal_scale: float = 1.0,
    seed: int = 0,
    key: Tensor | None = None,
    budget: int = 1 << 24,
) -> Estimate:
    r"""Return the importance-weighted estimate of log p(x) in nats of the model's units, with its error, row by row.

    .. math:: \log \hat p(x) = \log \frac1S \sum_s w_s, \qquad w_s = \frac{p(x|z_s)\,p(z_s)}{q(z_s|x)}, \qquad
        \mathrm{se} = \frac{\mathrm{sd}(w)}{\bar w \sqrt S}, \qquad \mathrm{ESS} = \frac{(\sum w)^2}{\sum w^2}

    On average it lies below log p(x), by se^2 / 2 to first order. Draws are made in blocks and forgotten: memory is
    bounded whatever N and S are.

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Rows in the model's units; a finite filler where a cell is missing.
    c : Tensor of shape (N, C), optional
        Conditions.
    mask : Tensor of shape (N, D), optional
        1 where a cell was observed; the others are integrated out.
    n_draws : int, default=1000
        S, draws from q(z|x) for each row.
    proposal_scale : float, default=1.0
        Draw from q with its noise made wider by this factor, and weigh accordingly. Trained posteriors are too narrow
        as a rule: 1.2 to 1.5 often doubles the effective sample size.
    seed : int, default=0
        A row's draws follow from it and from the row's own bits: other rows beside it change nothing.
    key : Tensor of shape (N, D), optional
        Whose bits are meant: rows in the data's units, where `x` was computed from them. Default: `x`.
    budget : int, default=2**24
        Numbers that the largest tensor may hold (128 MiB in float64); the result does not depend on it.

    Returns
    -------
    Estimate
        Of every row. One of which nothing was observed has probability 1, exactly.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, equation 8; Owen (2013), Monte Carlo theory,
    methods and examples, chapter 9, for standard error and effective sample size; Vehtari et al. (2024), Pareto
    Smoothed Importance Sampling, for `pareto_k`.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = VAE(2, max_epochs=1, precision="float64", random_state=0).fit(X).model_
    >>> rows = model.scaling(torch.from_numpy(X))
    >>> estimate = log_marginal_estimate(model, rows, n_draws=500)
    >>> estimate.value.shape, bool((estimate.effective_sample_size <= 500).all())
    (torch.Size([150]), True)
    """
    if n_draws < 1:
        raise ValueError(f"n_draws={n_draws!r} must be at least 1: how many draws a row's estimate is made of.")
    if not proposal_scale > 0:
        raise ValueError(f"proposal_scale={proposal_scale!r} must be positive; 1 draws from the posterior itself.")
    table = torch.zeros(4, len(x), dtype=torch.float64)
    block, n_rows = _shape(model.numbers_per_row, n_draws, budget)
    for part in chunks(len(x), 1, n_rows):
        rows, (condition, seen) = x[part], (None if t is None else t[part] for t in (c, mask))
        sums, q = WeightSums(len(rows), tail_length(n_draws) + 1), model.encode(rows, condition, seen)
        for noise in _noise((x if key is None else key)[part], q.mean.shape[-1], n_draws, block, seed):
            wide = proposal(model, q, seen, len(noise), proposal_scale)
            sums.add(model.log_joint_ratio(wide, wide.from_noise(noise.to(x)), rows, condition, seen).cpu())
        table[:, part] = torch.stack(exact_where_unobserved(Estimate.of(sums), seen, n_draws))
    return Estimate(*table)


def _shape(width: int, n_draws: int, budget: int) -> tuple[int, int]:
    """Return how many draws and how many rows to take at a time."""
    block = min(_BLOCK, n_draws, max(1, budget // width))
    return block, max(1, budget // max(block * width, tail_length(n_draws) + 1 + block))


def _noise(key: Tensor, n_components: int, n_draws: int, block: int, seed: int) -> Iterator[Tensor]:
    """Yield noise for `n_draws` draws, (block, N, K) at a time, on the CPU in float64."""
    for start in range(0, n_draws, block):
        yield row_noise(key, min(block, n_draws - start), n_components, seed, start)


def exact_where_unobserved(estimate: Estimate, mask: Tensor | None, n_draws: int) -> Estimate:
    """Return the estimate with probability 1 for rows of which nothing was observed."""
    if mask is None:
        return estimate
    seen, known = mask.any(-1).cpu(), (0, 0, n_draws, -torch.inf)
    return Estimate(*(torch.where(seen, t, t.new_tensor(v)) for t, v in zip(estimate, known, strict=True)))


def unreliable(estimate: Estimate, min_effective: float = 10.0, max_pareto_k: float = 0.7) -> Tensor:
    """Return the indices of rows whose estimate cannot be trusted, in rising order.

    A row is one if its estimate is not finite, if its effective sample size is below `min_effective` (its standard
    error is then above about 1 / sqrt(min_effective), .3 nats), or if `pareto_k` is above `max_pareto_k`: the weights'
    variance is infinite, and so many draws would be needed for their mean that its standard error means nothing. Such a
    value nearly always lies below the truth. More draws help little, `proposal_scale` more, :func:`annealed_estimate`
    most.

    Parameters
    ----------
    estimate : Estimate
        Of :func:`log_marginal_estimate`.
    min_effective : float, default=10
        Fewest effective draws.
    max_pareto_k : float, default=0.7
        Largest shape of the tail; an unknown one (NaN) counts as good.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto Smoothed Importance Sampling, JMLR 25, section 3.2.

    Examples
    --------
    >>> nan = torch.tensor([float("nan")] * 3)
    >>> unreliable(Estimate(torch.tensor([-3.0, -4.0, nan[0]]), nan, torch.tensor([50.0, 2.0, 50.0]), nan))
    tensor([1, 2])
    """
    bad = ~estimate.value.isfinite() | (estimate.effective_sample_size < min_effective)
    return (bad | (estimate.pareto_k > max_pareto_k)).nonzero().squeeze(1)
