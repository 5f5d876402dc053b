"""Posterior collapse in plain words."""

from __future__ import annotations

from torch.distributions import Distribution

from isthmus._distributions import DiagonalGaussian, FullGaussian, LatentDistribution
from isthmus.evaluation.latent import active_units, kl_per_dimension

__all__ = ["collapse_report"]

_COSTLY = 0.01  # nats that a unit may cost without it being worth a word


def collapse_report(q: LatentDistribution, p: Distribution, threshold: float = 0.01) -> str:
    """Say in plain words which latent units carry nothing about the rows, what that costs, and what to try.

    Parameters
    ----------
    q : LatentDistribution
        Posterior of N rows, at least two.
    p : Distribution
        Prior.
    threshold : float, default=0.01
        For :func:`active_units`.

    Returns
    -------
    str
        A few lines; units are counted from 0.

    References
    ----------
    Bowman et al. (2016), Generating Sentences from a Continuous Space; Lucas, Tucker, Grosse & Norouzi (2019), Don't
    Blame the ELBO! A Linear VAE Perspective on Posterior Collapse.

    Examples
    --------
    >>> import torch
    >>> mean = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> p = DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    >>> print(collapse_report(DiagonalGaussian(mean, torch.zeros(2, 2)), p))
    1 of 2 latent units is used: 0 (KL 0.50).
    Off: 1. The posterior is the prior there, whatever the row: it costs nothing and tells nothing.
    ...
    """
    active = active_units(q.mean, threshold).tolist()
    used, off = ([k for k, on in enumerate(active) if on is wanted] for wanted in (True, False))
    kl = _kl_or_none(q, p)
    lines = [_used(used, len(active), kl)]
    if off:
        lines.append(_off(off, kl))
    return "\n".join([*lines, _advice(len(used), len(off))])


def _kl_or_none(q: LatentDistribution, p: Distribution) -> list[float] | None:
    """Return the divergence of every unit where it has a closed form."""
    normal = all(isinstance(d, (DiagonalGaussian, FullGaussian)) for d in (q, p))
    return kl_per_dimension(q, p).tolist() if normal else None


def _used(used: list[int], n: int, kl: list[float] | None) -> str:
    if not used:
        return f"None of the {n} latent units is used: complete posterior collapse. All rows have the same code."
    order = used if kl is None else sorted(used, key=lambda k: -kl[k])
    names = ", ".join(str(k) if kl is None else f"{k} (KL {kl[k]:.2f})" for k in order)
    return f"{len(used)} of {n} latent units {'is' if len(used) == 1 else 'are'} used: {names}."


def _off(off: list[int], kl: list[float] | None) -> str:
    text = f"Off: {', '.join(map(str, off))}. "
    if kl is None:
        return text + "The mean of the posterior hardly varies there from row to row."
    wasted = sum(kl[k] for k in off)
    if wasted <= _COSTLY * len(off):
        return text + "The posterior is the prior there, whatever the row: it costs nothing and tells nothing."
    return text + f"The posterior is the same for all rows there but is not the prior: {wasted:.2f} nats a row wasted."


def _advice(n_used: int, n_off: int) -> str:
    if not n_off:
        return "None is off: more units may help; compare held-out log p(x) of a larger n_components."
    more = (
        "a slower start (beta=Warmup(1.0)), a floor (free_bits=0.1), a smaller beta, a learned sigma "
        "(likelihood='gaussian'), more epochs"
    )
    if not n_used:
        return f"To try: {more}; and see whether the columns depend on each other at all."
    return (
        "That is right if held-out log p(x) is no worse than with more units in use: the model then needs no more, and "
        f"n_components={n_used} would do. If more are wanted, try {more}."
    )
