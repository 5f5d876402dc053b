"""Annealed importance sampling of log p(x), and bidirectional Monte Carlo, which bounds its error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus._random import derive, seeded
from isthmus.evaluation._chains import PILOTS, Annealing, Chain
from isthmus.evaluation._weights import WeightSums, tail_length
from isthmus.evaluation.importance import Estimate, exact_where_unobserved
from isthmus.model import Model

__all__ = ["Annealing", "Sandwich", "annealed_estimate", "sandwich"]

_KEPT = 16  # roughly how many tensors of the largest size the gradient of a density keeps


class Sandwich(NamedTuple):
    """Samples of a model, and lower and upper estimates of their log p(x), in nats of the model's units.

    Attributes
    ----------
    x : Tensor of shape (N, D)
        The samples.
    lower, upper : Estimate
        Estimates of log p(x), (N,), that are too low and too high on average. The chains of `upper` for a sample start
        from the same code, which its standard error does not account for.
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
    r"""Return the annealed importance-sampling estimate of log p(x) for each sample, in nats of the model's units.

    .. math:: \log w = \sum_{t=1}^T (\beta_t - \beta_{t-1})\,[\log p(x, z_{t-1}) - \log p_0(z_{t-1})], \qquad
        z_t \sim \mathcal T_t(\cdot|z_{t-1}), \qquad \log \hat p(x) = \log \frac1S \sum_s w_s

    where T_t is Hamiltonian Monte Carlo that leaves p_0^(1 - beta_t) p(x, .)^beta_t invariant. On average the estimate
    lies below log p(x), but much closer than that of importance sampling if q(z|x) is poor. Step sizes are tuned by
    separate chains beforehand, because adapting them within a chain would bias the weights.

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Samples in the model's units, finite also where a cell is missing.
    c : Tensor of shape (N, C), optional
        Conditions.
    mask : Tensor of shape (N, D), optional
        1 where a cell was observed; missing cells are integrated out.
    annealing : Annealing, optional
        Settings of the chains.
    seed : int, default=0
        Seed of the chains. Those of a sample do not depend on the other samples.
    budget : int, default=2**25
        Numbers that may be held at a time, which determines how many samples are processed at once. The result does not
        depend on it, except for rounding.

    Returns
    -------
    Estimate
        One estimate per sample, from its S weights.

    Raises
    ------
    ValueError
        If a number in `annealing` is less than 1.

    References
    ----------
    Neal (2001), Annealed Importance Sampling; Wu, Burda, Salakhutdinov & Grosse (2017), On the Quantitative Analysis of
    Decoder-Based Generative Models, for the schedule of the betas.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from isthmus.training import Trainer
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data[:5]
    >>> model = VAE(2, max_epochs=1, trainer=Trainer(precision="float64"), random_state=0).fit(X).model_
    >>> annealed_estimate(model, model.scaling(torch.from_numpy(X)), annealing=Annealing(20)).value.shape
    torch.Size([5])
    """
    how = _checked(annealing)
    result = torch.zeros(4, len(x), dtype=torch.float64)
    for part in _chunks(model, len(x), how, budget):
        condition, observed = (None if t is None else t[part] for t in (c, mask))
        chain = Chain.begin(model, x[part], condition, observed, how, seed)
        result[:, part] = torch.stack(exact_where_unobserved(_estimate(chain.forward()), observed, how.n_chains))
    return Estimate(*result)


@torch.no_grad()
def sandwich(
    model: Model,
    n_samples: int,
    c: Tensor | None = None,
    *,
    annealing: Annealing | None = None,
    seed: int = 0,
    budget: int = 1 << 25,
) -> Sandwich:
    r"""Draw samples from the model, and return lower and upper estimates of their log p(x).

    For a sample drawn with its code, z ~ p(z), x ~ p(x|z), the code is an exact draw from p(z|x). Chains that start
    there and run backwards estimate 1 / p(x) without bias, hence log p(x) from above:

    .. math:: E \log \frac1S \sum_s w_s \;\le\; \log p(x) \;\le\; E\Big[-\log \frac1S \sum_s \frac1{w'_s}\Big].

    The gap bounds the error of :func:`annealed_estimate`, with the same settings, on samples like those of the model.
    The error of :func:`log_marginal_estimate` can be measured on ``Sandwich.x``.

    Parameters
    ----------
    model : Model
        The model.
    n_samples : int
        Number of samples.
    c : Tensor of shape (n_samples, C), optional
        Conditions.
    annealing, seed, budget
        As for :func:`annealed_estimate`.

    Returns
    -------
    Sandwich

    Raises
    ------
    ValueError
        If `n_samples` or a number in `annealing` is less than 1.

    References
    ----------
    Grosse, Ghahramani & Adams (2015), Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo; Wu et al.
    (2017), section 4.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from isthmus.likelihoods import Gaussian
    >>> from sklearn.datasets import load_iris
    >>> simple = {"prior": "standard_normal", "likelihood": Gaussian(scale="shared"), "max_epochs": 1}
    >>> model = VAE(2, **simple, random_state=0).fit(load_iris().data).model_
    >>> result = sandwich(model, 5, annealing=Annealing(20))
    >>> bool((result.upper.value - result.lower.value).mean().abs() < 0.5)
    True
    """
    how = _checked(annealing)
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples!r} must be at least 1.")
    with seeded(derive(seed, n_samples), next(model.network.parameters()).device):
        prior = model.p_z(c)
        code = prior.sample() if prior.batch_shape else prior.sample((n_samples,))
        x = model.likelihood.sample(model.decode(code, c))
    lower, upper = torch.zeros(2, 4, n_samples, dtype=torch.float64)
    for part in _chunks(model, n_samples, how, budget):
        condition = None if c is None else c[part]
        chain = Chain.begin(model, x[part], condition, None, how, seed)
        lower[:, part] = torch.stack(_estimate(chain.forward()))
        inverse = _estimate(-chain.backward(code[part]))  # of 1 / p(x)
        upper[:, part] = torch.stack(inverse._replace(value=-inverse.value))
    return Sandwich(x, Estimate(*lower), Estimate(*upper))


def _checked(annealing: Annealing | None) -> Annealing:
    how = annealing or Annealing()
    for name in ("n_distributions", "n_chains", "n_leapfrog"):
        if getattr(how, name) < 1:
            raise ValueError(f"Annealing({name}={getattr(how, name)}): it must be at least 1.")
    return how


def _chunks(model: Model, n: int, how: Annealing, budget: int) -> Iterator[slice]:
    """Yield chunks of n samples, whose chains and their gradients hold about `budget` numbers."""
    return chunks(n, _KEPT * model.numbers_per_row * max(how.n_chains, PILOTS), budget)


def _estimate(log_w: Tensor) -> Estimate:
    sums = WeightSums(log_w.shape[1], tail_length(len(log_w)) + 1)
    sums.add(log_w)
    return Estimate.of(sums)
