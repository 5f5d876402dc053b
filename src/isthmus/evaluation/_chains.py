"""Markov chains from an initial distribution to the posterior, for annealed importance sampling."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._distributions import LatentDistribution
from isthmus._mixture import Mixture
from isthmus._random import derive, seeded
from isthmus.evaluation.row_noise import row_noise
from isthmus.model import Model

__all__ = ["PILOTS", "Annealing", "Chain", "Path"]

_ACCEPT = 0.8  # target acceptance rate when step sizes of Hamiltonian Monte Carlo are tuned
PILOTS = 8  # chains per sample that tune the step sizes
_SCALE_DRAWS = 64  # codes per sample from which standard deviations are estimated
_LONGEST = 2.0  # length of a trajectory in standard deviations; at pi / 2 it is least correlated with its start


class Annealing(NamedTuple):
    """Settings of annealed importance sampling.

    Attributes
    ----------
    n_distributions : int, default=300
        T, number of distributions from the initial one to the posterior. The error is proportional to 1 / T.
    n_chains : int, default=16
        S, chains per sample.
    n_leapfrog : int, default=3
        Leapfrog steps per transition.
    from_posterior : bool, default=True
        Whether the initial distribution is q(z|x), or p(z), which is farther from the posterior but independent of q.
    """

    n_distributions: int = 300
    n_chains: int = 16
    n_leapfrog: int = 3
    from_posterior: bool = True


class _Point(NamedTuple):
    """Codes z (S, N, K), the log densities (S, N) of the path's ends at z, and their gradients (S, N, K)."""

    z: Tensor
    start: Tensor
    joint: Tensor
    start_gradient: Tensor
    joint_gradient: Tensor

    def energy(self, beta: Tensor, momentum: Tensor) -> Tensor:
        """Return the unnormalized log density minus the kinetic energy, (S, N)."""
        return (1 - beta) * self.start + beta * self.joint - 0.5 * momentum.square().sum(-1)

    def gradient(self, beta: Tensor) -> Tensor:
        """Return the gradient of the log density, (S, N, K)."""
        return (1 - beta) * self.start_gradient + beta * self.joint_gradient

    def where(self, accepted: Tensor, other: _Point) -> _Point:
        """Return these codes where `accepted` (S, N), and the others elsewhere."""
        masks = (accepted.unsqueeze(-1) if new.ndim > accepted.ndim else accepted for new in self)
        return _Point(*(torch.where(mask, new, old) for mask, new, old in zip(masks, self, other, strict=True)))


class _Stream(IntEnum):
    """The independent random streams of the chains of a sample."""

    SCALES = 0  # codes from which scales are estimated
    STARTS = 1  # initial codes
    PILOTS = 2  # transitions of the chains that tune the step sizes
    FORWARD = 3
    BACKWARD = 4


class Path(NamedTuple):
    """The geometric path start(z)^(1 - beta) p(x, z)^beta for a chunk of samples.

    Draws of a sample are a function of the seed and of ``key`` (N, D), its observed cells. ``scales`` (2, N, K) are
    standard deviations of the start and of the posterior, which precondition the momenta.
    """

    model: Model
    x: Tensor
    c: Tensor | None
    mask: Tensor | None
    start: Distribution
    prior: Distribution
    scales: Tensor
    betas: Tensor
    key: Tensor
    seed: int

    @classmethod
    def of(cls, model: Model, x: Tensor, c: Tensor | None, mask: Tensor | None, how: Annealing, seed: int) -> Path:
        """Return the path of a chunk; scales are estimated from draws, as not every distribution has a variance."""
        q, prior = model.q(x, c, mask), model.p_z(c)
        start = q if how.from_posterior else prior
        key = x if mask is None else x.masked_fill(mask == 0, torch.nan)
        curve = torch.sigmoid(torch.linspace(-4, 4, how.n_distributions + 1, dtype=torch.float64))
        betas = (curve - curve[0]) / (curve[-1] - curve[0])  # from 0 to 1
        path = cls(model, x, c, mask, start, prior, x.new_empty(0), betas.to(x), key, seed)
        scales = [path.draws(d, _SCALE_DRAWS, q.mean.shape[-1], _Stream.SCALES).std(0) for d in (start, q)]
        return path._replace(scales=torch.stack(scales))

    def noise(self, n: int, width: int, *stream: int) -> Tensor:
        """Return standard normal noise (n, N, width) of a random stream."""
        return row_noise(self.key, n, width, derive(self.seed, *stream), device=self.x.device).to(self.x)

    def draws(self, distribution: Distribution, n: int, n_components: int, *stream: int) -> Tensor:
        """Return n draws per sample, (n, N, K), from a distribution of batch shape () or (N,)."""
        if isinstance(distribution, LatentDistribution):
            return distribution.from_noise(self.noise(n, n_components, *stream))
        if isinstance(distribution, Mixture):
            return distribution.from_noise(self.noise(n, n_components + 1, *stream))
        with seeded(derive(self.seed, *stream), self.x.device):  # another distribution does not draw from given noise
            return distribution.sample((n,) if distribution.batch_shape else (n, len(self.x)))

    def log_joint(self, z: Tensor) -> Tensor:
        """Return log p(x, z), (S, N)."""
        return self.model.log_likelihood(z, self.x, self.c, self.mask) + self.prior.log_prob(z)

    @torch.enable_grad()
    def evaluate(self, z: Tensor) -> _Point:
        """Return the log densities of the path's ends at codes (S, N, K), with their gradients."""
        z = z.detach().requires_grad_()
        ends = self.start.log_prob(z), self.log_joint(z)
        gradients = (torch.autograd.grad(end.sum(), z)[0] for end in ends)
        return _Point(z.detach(), *(end.detach() for end in ends), *gradients)

    def gain(self, t: int, point: _Point) -> Tensor:
        """Return the change of the log weight between distributions t - 1 and t, (S, N)."""
        return (self.betas[t] - self.betas[t - 1]) * (point.joint - point.start)

    def scale(self, t: int) -> Tensor:
        """Return standard deviations of distribution t, (N, K), which are exact if both ends are normal."""
        precision = self.scales.square().reciprocal()
        return ((1 - self.betas[t]) * precision[0] + self.betas[t] * precision[1]).rsqrt()


class Chain(NamedTuple):
    """Chains along a path: initial codes (S, N, K), step sizes (T, N) and settings."""

    path: Path
    start: Tensor
    steps: Tensor
    how: Annealing

    @classmethod
    def begin(cls, model: Model, x: Tensor, c: Tensor | None, mask: Tensor | None, how: Annealing, seed: int) -> Chain:
        """Return chains for a chunk of samples, with step sizes that separate chains have tuned."""
        path = Path.of(model, x, c, mask, how, seed)
        codes = path.draws(path.start, how.n_chains + PILOTS, path.scales.shape[-1], _Stream.STARTS)
        start, pilots = codes.split([how.n_chains, PILOTS])
        chain = cls(path, start, start.new_full((1, len(x)), _LONGEST / how.n_leapfrog), how)
        return chain._replace(steps=chain.tuned(pilots))

    def tuned(self, z: Tensor) -> Tensor:
        """Return step sizes (T, N), tuned by chains that start at `z`."""
        point, step, steps = self.path.evaluate(z), self.steps[0], []
        for t in range(1, len(self.path.betas)):
            point, accept = self.transition(t, point, step, _Stream.PILOTS)
            step = (step * (0.2 * (accept.mean(0) - _ACCEPT)).exp()).minimum(self.steps[0])
            steps.append(step)
        return torch.stack(steps)

    def forward(self) -> Tensor:
        """Return log weights (S, N) of chains from the start to the posterior."""
        point, log_w = self.path.evaluate(self.start), self.start.new_zeros(self.start.shape[:-1])
        for t in range(1, len(self.path.betas)):
            log_w += self.path.gain(t, point)
            point, _ = self.transition(t, point, self.steps[t - 1], _Stream.FORWARD)
        return log_w

    def backward(self, code: Tensor) -> Tensor:
        """Return log weights (S, N) of chains from a draw of the posterior to the start, by reversed transitions."""
        point, log_w = self.path.evaluate(code.expand_as(self.start)), self.start.new_zeros(self.start.shape[:-1])
        for t in range(len(self.path.betas) - 1, 0, -1):
            point, _ = self.transition(t, point, self.steps[t - 1], _Stream.BACKWARD)
            log_w += self.path.gain(t, point)
        return log_w

    def transition(self, t: int, point: _Point, step: Tensor, stream: _Stream) -> tuple[_Point, Tensor]:
        """Return codes after a Hamiltonian transition that leaves distribution t invariant, and acceptances (S, N)."""
        beta, (n_chains, _, n_components) = self.path.betas[t], point.z.shape
        momentum, more = self.path.noise(n_chains, n_components + 2, stream, t).split([n_components, 2], dim=-1)
        length, threshold = torch.special.ndtr(more).unbind(-1)  # uniform, (S, N)
        # the length is random, so that no trajectory is periodic
        epsilon = ((0.5 + length) * step).unsqueeze(-1) * self.path.scale(t)
        before, new = point.energy(beta, momentum), point
        momentum = momentum + 0.5 * epsilon * point.gradient(beta)
        for i in range(self.how.n_leapfrog, 0, -1):
            new = self.path.evaluate(new.z + epsilon * momentum)
            momentum = momentum + (1.0 if i > 1 else 0.5) * epsilon * new.gradient(beta)
        accept = (new.energy(beta, momentum) - before).nan_to_num(nan=-torch.inf).clamp_max(0).exp()
        return new.where(threshold < accept, point), accept
