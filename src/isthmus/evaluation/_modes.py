"""A proposal with a normal distribution at each mode of p(z|x) that a few draws from the prior lead to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus._distributions import LatentDistribution, WhitenedGaussian
from isthmus.evaluation._rows import Rows
from isthmus.evaluation.refinement import best_code, climb, codes_of_prior, numbers_per_row

__all__ = ["ModeMixture", "find_modes"]

_N_MODES = 4
_GAP = 2.0  # nats by which log p(x, z) exceeds the approximation at a code of another mode
_SHARE = 1e-3  # of p(x), at least, near such a code
_BUDGET = 1 << 22  # numbers in the widest tensor


class ModeMixture(LatentDistribution):
    """A mixture of normal distributions, each with its share of the draws.

    Parameters
    ----------
    modes : list of WhitenedGaussian
        M distributions, of batch shape (N,).
    log_mass : Tensor of shape (M, N)
        Logarithms of their weights, minus infinity for those that a sample does not have; they need not sum to 1.
    n_draws : int
        S, the number of all draws.
    first_draw : int, default=0
        Index of the first draw that ``from_noise`` makes.
    """

    def __init__(self, modes: list[WhitenedGaussian], log_mass: Tensor, n_draws: int, first_draw: int = 0) -> None:
        super().__init__(modes[0].mean)
        self.modes, self.first = modes, first_draw
        count = (torch.softmax(log_mass, 0)[1:] * n_draws).floor()
        count = torch.cat([n_draws - count.sum(0, keepdim=True), count])
        self.end = count.cumsum(0)
        self.log_weight = (count / n_draws).log()

    def from_noise(self, noise: Tensor) -> Tensor:
        """Return the draws of the first mode, then those of the others: (S, N, K)."""
        z = self.modes[0].from_noise(noise)
        index = torch.arange(self.first, self.first + len(noise), device=noise.device).unsqueeze(1)
        for mode, begin in zip(self.modes[1:], self.end, strict=False):
            z = torch.where((index >= begin).unsqueeze(-1), mode.from_noise(noise), z)
        return z

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density in nats, (S, N)."""
        each = [w + mode.log_prob(value) for mode, w in zip(self.modes, self.log_weight, strict=True)]
        return each[0] if len(each) == 1 else torch.logsumexp(torch.stack(each), 0)


def find_modes(rows: Rows, n_starts: int) -> tuple[list[WhitenedGaussian], Tensor]:
    """Return normal distributions at up to four modes of each posterior, and the logarithms (M, N) of their masses.

    Steps lead from the best of `n_starts` draws from the prior, or from the mean of q(z|x), to the first mode. If
    p(x, z) is far larger at another draw than the normal distributions say, and a part of p(x) lies there, further
    steps start there. This is incremental mixture importance sampling (Raftery & Bao 2010, Estimating and Projecting
    Trends in HIV/AIDS Generalized Epidemics Using Incremental Mixture Importance Sampling) with steps to the modes.
    """
    n, k = len(rows.x), rows.model.network.sizes.n_components
    mean = rows.x.new_zeros(_N_MODES, n, k)
    root = torch.eye(k).to(rows.x).repeat(_N_MODES, n, 1, 1)
    log_mass = rows.x.new_full((_N_MODES, n), -torch.inf)
    for part in chunks(n, numbers_per_row(rows.model, n_starts), _BUDGET):
        some = rows.take(torch.arange(n, device=rows.x.device)[part])
        _fill(some, n_starts, mean[:, part], root[:, part], log_mass[:, part])
    used = log_mass.isfinite().any(1)
    used[0] = True
    modes = [WhitenedGaussian(m, r.mT, upper=True) for m, r in zip(mean[used], root[used], strict=True)]
    return modes, log_mass[used]


def _fill(rows: Rows, n_starts: int, mean: Tensor, root: Tensor, log_mass: Tensor) -> None:
    """Write the modes of a chunk of samples."""
    z = codes_of_prior(rows, n_starts)  # (A, N, K)
    log_joint = rows.log_joint(z)
    log_share = log_joint[1:] - rows.p_z().log_prob(z[1:]) - math.log(len(z) - 1)
    everyone = torch.arange(len(rows.x), device=z.device)
    index, start = everyone, best_code(z, log_joint)[0]
    for m in range(_N_MODES):
        part = rows.take(index)
        found, factor = climb(part, start)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        mass = part.log_joint(found) + 0.5 * z.shape[-1] * math.log(2 * math.pi) - log_det  # Laplace's method
        if m:  # a mode that was found before has its mass already
            gap = (
                part.log_joint(found)
                - _approximation(found[None], mean[:m, index], root[:m, index], log_mass[:m, index])[0]
            )
            mass = torch.where(gap > _GAP, mass, -torch.inf)
        mean[m, index], root[m, index], log_mass[m, index] = found, factor, mass
        total = torch.logsumexp(log_mass, 0)
        gap = log_joint - _approximation(z, mean[: m + 1], root[: m + 1], log_mass[: m + 1])
        missed = (gap[1:] > _GAP) & (log_share > total + math.log(_SHARE))
        index = everyone[missed.any(0) & log_mass[m].isfinite()]
        if not len(index):
            return
        start = best_code(z[1:, index], log_joint[1:, index].masked_fill(~missed[:, index], -torch.inf))[0]


def _approximation(z: Tensor, mean: Tensor, root: Tensor, log_mass: Tensor) -> Tensor:
    """Return the logarithm of the sum over modes of mass times density, (A, N), at codes (A, N, K)."""
    each = [w + WhitenedGaussian(m, r.mT, upper=True).log_prob(z) for m, r, w in zip(mean, root, log_mass, strict=True)]
    return torch.logsumexp(torch.stack(each), 0)
