"""A report on posterior collapse."""

from __future__ import annotations

from torch.distributions import Distribution

from isthmus._distributions import LatentDistribution
from isthmus.evaluation.latent import active_units, has_marginals, kl_per_dimension

__all__ = ["collapse_report"]

_NEGLIGIBLE = 0.01  # nats per inactive unit


def collapse_report(q: LatentDistribution, p: Distribution, threshold: float = 0.01) -> str:
    """Return a text that lists the inactive latent units, their cost in nats, and what to try.

    Parameters
    ----------
    q : LatentDistribution
        Posterior of N samples, at least two.
    p : Distribution
        Prior.
    threshold : float, default=0.01
        Threshold of :func:`active_units`.

    Returns
    -------
    str
        A few lines. Units are numbered from 0.

    Raises
    ------
    ValueError
        If there are fewer than two samples.

    References
    ----------
    Bowman et al. (2016), Generating Sentences from a Continuous Space; Lucas, Tucker, Grosse & Norouzi (2019), Don't
    Blame the ELBO! A Linear VAE Perspective on Posterior Collapse.

    Examples
    --------
    >>> import torch
    >>> from isthmus._distributions import DiagonalGaussian
    >>> mean = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> p = DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    >>> print(collapse_report(DiagonalGaussian(mean, torch.zeros(2, 2)), p))
    1 of 2 latent units is active: 0 (KL 0.50).
    Inactive: 1. Their posterior is the prior for all samples: these units carry no information.
    ...
    """
    active = active_units(q.mean, threshold).tolist()
    used, inactive = ([k for k, on in enumerate(active) if on is wanted] for wanted in (True, False))
    kl = kl_per_dimension(q, p).tolist() if has_marginals(q, p) else None
    lines = [_used(used, len(active), kl)]
    if inactive:
        lines.append(_inactive(inactive, kl))
    return "\n".join([*lines, _advice(len(used), len(inactive))])


def _used(used: list[int], n: int, kl: list[float] | None) -> str:
    if not used:
        return f"None of the {n} latent units is active: complete posterior collapse. All samples have the same code."
    order = used if kl is None else sorted(used, key=lambda k: -kl[k])
    names = ", ".join(str(k) if kl is None else f"{k} (KL {kl[k]:.2f})" for k in order)
    return f"{len(used)} of {n} latent units {'is' if len(used) == 1 else 'are'} active: {names}."


def _inactive(units: list[int], kl: list[float] | None) -> str:
    text = f"Inactive: {', '.join(map(str, units))}. "
    if kl is None:
        return text + "Their posterior mean hardly varies between samples."
    wasted = sum(kl[k] for k in units)
    if wasted <= _NEGLIGIBLE * len(units):
        return text + "Their posterior is the prior for all samples: these units carry no information."
    return (
        text + f"Their posterior is not the prior, but the same for all samples: {wasted:.2f} nats per sample wasted."
    )


def _advice(n_used: int, n_inactive: int) -> str:
    if not n_inactive:
        return "All units are active; a larger n_components may help: compare the held-out log p(x)."
    remedies = (
        "a slower warm-up (beta=Warmup(1.0)), free bits (objective=PenalizedLikelihood(free_bits=0.1)), a smaller "
        "beta, a learned scale (likelihood='gaussian'), more epochs"
    )
    if not n_used:
        return f"Try {remedies}; and check that the features depend on each other at all."
    return (
        "This is fine if the held-out log p(x) is no worse than with more active units: then the model needs no more, "
        f"and n_components={n_used} would do. To activate more units, try {remedies}."
    )
