"""log p(x) by annealed importance sampling, and both sides of it on simulated rows (bidirectional Monte Carlo)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus._random import derive, seeded
from isthmus.evaluation._chains import PILOTS, Annealing, Chain, draws
from isthmus.evaluation._weights import WeightSums, tail_length
from isthmus.evaluation.importance import Estimate, exact_where_unobserved
from isthmus.model import Model

__all__ = ["Annealing", "Sandwich", "annealed_estimate", "sandwich"]

_KEPT = 16  # about so many tensors of a row's widest size are kept for the gradient of one density


class Sandwich(NamedTuple):
    """Rows that a model made and the two sides between which their log p(x) lies, in nats of the model's units.

    Attributes
    ----------
    x : Tensor of shape (N, D)
        The rows.
    lower, upper : Estimate
        Of log p(x), below and above on average (each by its own Jensen gap); (N,). The chains of `upper` share the code
        that they start from, of which its standard error knows nothing.
    """

    x: Tensor
    lower: Estimate
    upper: Estimate


@torch.no_grad()
def annealed_estimate(
    model: Model,
    x: Tensor,
    c: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    annealing: Annealing | None = None,
    seed: int = 0,
    budget: int = 1 << 25,
) -> Estimate:
    r"""Return log p(x) by annealed importance sampling, in nats of the model's units, row by row.

    .. math:: \log w = \sum_{t=1}^T (\beta_t - \beta_{t-1})\,[\log p(x, z_{t-1}) - \log p_0(z_{t-1})], \qquad
        z_t \sim \mathcal T_t(\cdot|z_{t-1}), \qquad \log \hat p(x) = \log \frac1S \sum_s w_s

    where T_t is Hamiltonian Monte Carlo that leaves p_0^(1 - beta_t) p(x, .)^beta_t as it is. On average the estimate
    lies below log p(x), far less than that of importance sampling where q(z|x) is poor. Steps are tuned by chains of
    their own beforehand, and fixed: tuned on the way they would make the weights wrong.

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Rows in the model's units; a finite filler where a cell is missing.
    c : Tensor of shape (N, C), optional
        Conditions.
    mask : Tensor of shape (N, D), optional
        1 where a cell was observed.
    annealing : Annealing, optional
        How to anneal.
    seed : int, default=0
        Seed; the same call gives the same numbers.
    budget : int, default=2**25
        Numbers that may be held at a time; rows are taken in chunks.

    Returns
    -------
    Estimate
        Of every row, from its S weights.

    References
    ----------
    Neal (2001), Annealed Importance Sampling; Wu, Burda, Salakhutdinov & Grosse (2017), On the Quantitative Analysis of
    Decoder-Based Generative Models, for the schedule of the betas.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data[:5]
    >>> model = VAE(2, max_epochs=1, precision="float64", random_state=0).fit(X).model_
    >>> annealed_estimate(model, model.scaling(torch.from_numpy(X)), annealing=Annealing(20)).value.shape
    torch.Size([5])
    """
    how = _checked(annealing)
    table = torch.zeros(4, len(x), dtype=torch.float64)
    for part in _chunks(model, len(x), how, budget):
        condition, seen = (None if t is None else t[part] for t in (c, mask))
        chain = Chain.begin(model, x[part], condition, seen, how, derive(seed, part.start))
        table[:, part] = torch.stack(exact_where_unobserved(_estimate(chain.forward()), seen, how.n_chains))
    return Estimate(*table)


@torch.no_grad()
def sandwich(
    model: Model,
    n: int,
    c: Tensor | None = None,
    *,
    annealing: Annealing | None = None,
    seed: int = 0,
    budget: int = 1 << 25,
) -> Sandwich:
    r"""Draw n rows from the model and return estimates of their log p(x) from below and from above.

    For a row that was drawn with its code, z ~ p(z), x ~ p(x|z), that code is an exact draw from p(z|x): chains that
    start there and run backwards give 1 / p(x) without bias, hence an upper estimate,

    .. math:: E \log \frac1S \sum_s w_s \;\le\; \log p(x) \;\le\; E\Big[-\log \frac1S \sum_s \frac1{w'_s}\Big].

    The width of the sandwich tells how near :func:`annealed_estimate` (with the same settings) comes on rows like those
    the model makes; that of :func:`log_marginal_estimate` on ``Sandwich.x`` may be held against it.

    Parameters
    ----------
    model : Model
        The model.
    n : int
        How many rows to draw.
    c : Tensor of shape (n, C), optional
        Conditions.
    annealing, seed, budget
        As for :func:`annealed_estimate`.

    References
    ----------
    Grosse, Ghahramani & Adams (2015), Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo; Wu et al.
    (2017), section 4.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from sklearn.datasets import load_iris
    >>> model = VAE(2, max_epochs=1, random_state=0).fit(load_iris().data).model_
    >>> result = sandwich(model, 5, annealing=Annealing(20))
    >>> bool((result.upper.value - result.lower.value).mean().abs() < 0.5)
    True
    """
    how = _checked(annealing)
    x, code = _simulated(model, n, c, seed)
    lower, upper = torch.zeros(2, 4, n, dtype=torch.float64)
    for part in _chunks(model, n, how, budget):
        condition = None if c is None else c[part]
        chain = Chain.begin(model, x[part], condition, None, how, derive(seed, part.start))
        lower[:, part] = torch.stack(_estimate(chain.forward()))
        above = _estimate(-chain.backward(code[part]))
        upper[:, part] = torch.stack(above._replace(value=-above.value))
    return Sandwich(x, Estimate(*lower), Estimate(*upper))


def _simulated(model: Model, n: int, c: Tensor | None, seed: int) -> tuple[Tensor, Tensor]:
    """Return n rows (n, D) drawn from the model, and their codes (n, K)."""
    if n < 1:
        raise ValueError(f"n={n!r} must be at least 1: how many rows to draw.")
    with seeded(derive(seed, n), next(model.network.parameters()).device):
        code = draws(model.p_z(c), 1, n)[0]
        return model.likelihood.sample(model.decode(code, c)), code


def _checked(annealing: Annealing | None) -> Annealing:
    how = annealing or Annealing()
    for name in ("n_distributions", "n_chains", "n_leapfrog"):
        if getattr(how, name) < 1:
            raise ValueError(f"Annealing({name}={getattr(how, name)}): it must be at least 1.")
    return how


def _chunks(model: Model, n: int, how: Annealing, budget: int) -> Iterator[slice]:
    """Cut n rows into chunks whose chains, with what their gradients keep, hold about `budget` numbers."""
    return chunks(n, _KEPT * model.numbers_per_row * max(how.n_chains, PILOTS), budget)


def _estimate(log_w: Tensor) -> Estimate:
    sums = WeightSums(log_w.shape[1], tail_length(len(log_w)) + 1)
    sums.add(log_w)
    return Estimate.of(sums)
