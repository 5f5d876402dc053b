"""Markov chains from an initial distribution to the posterior, for annealed importance sampling."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._random import derive, seeded
from isthmus.model import Model

__all__ = ["PILOTS", "Annealing", "Chain", "Path", "draws"]

_ACCEPT = 0.8  # target acceptance rate when step sizes of Hamiltonian Monte Carlo are tuned
PILOTS = 8  # chains per sample that tune the step sizes
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


class Path(NamedTuple):
    """The geometric path start(z)^(1 - beta) p(x, z)^beta for a chunk of samples.

    ``scales`` (2, N, K) are standard deviations of the start and of the posterior, which precondition the momenta.
    """

    model: Model
    x: Tensor
    c: Tensor | None
    mask: Tensor | None
    start: Distribution
    prior: Distribution
    scales: Tensor
    betas: Tensor

    @classmethod
    def of(cls, model: Model, x: Tensor, c: Tensor | None, mask: Tensor | None, how: Annealing) -> Path:
        """Return the path of a chunk; scales are estimated from draws, as not every distribution has a variance."""
        q, prior = model.q(x, c, mask), model.p_z(c)
        start = q if how.from_posterior else prior
        scales = torch.stack([draws(d, 64, len(x)).std(0) for d in (start, q)])
        return cls(model, x, c, mask, start, prior, scales, _schedule(how.n_distributions).to(x))

    def log_joint(self, z: Tensor) -> Tensor:
        """Return log p(x, z), (S, N)."""
        return self.model.log_likelihood(z, self.x, self.c, self.mask) + self.prior.log_prob(z)

    @torch.enable_grad()
    def at(self, z: Tensor) -> _Point:
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
    """Chains along a path: initial codes (S, N, K), step sizes (T, N), settings and a generator."""

    path: Path
    start: Tensor
    steps: Tensor
    how: Annealing
    generator: torch.Generator

    @classmethod
    def begin(cls, model: Model, x: Tensor, c: Tensor | None, mask: Tensor | None, how: Annealing, seed: int) -> Chain:
        """Return chains for a chunk of samples, with step sizes that separate chains have tuned."""
        with seeded(seed, x.device):
            path = Path.of(model, x, c, mask, how)
            start, pilots = (draws(path.start, n, len(x)) for n in (how.n_chains, PILOTS))
        generator = torch.Generator(x.device).manual_seed(derive(seed, 1))
        chain = cls(path, start, start.new_full((1, len(x)), _LONGEST / how.n_leapfrog), how, generator)
        return chain._replace(steps=chain.tuned(pilots))

    def tuned(self, z: Tensor) -> Tensor:
        """Return step sizes (T, N), tuned by chains that start at `z`."""
        point, step, steps = self.path.at(z), self.steps[0], []
        for t in range(1, len(self.path.betas)):
            point, accept = self.transition(t, point, step)
            step = (step * (0.2 * (accept.mean(0) - _ACCEPT)).exp()).minimum(self.steps[0])
            steps.append(step)
        return torch.stack(steps)

    def forward(self) -> Tensor:
        """Return log weights (S, N) of chains from the start to the posterior."""
        point, log_w = self.path.at(self.start), self.start.new_zeros(self.start.shape[:-1])
        for t in range(1, len(self.path.betas)):
            log_w += self.path.gain(t, point)
            point, _ = self.transition(t, point, self.steps[t - 1])
        return log_w

    def backward(self, code: Tensor) -> Tensor:
        """Return log weights (S, N) of chains from a draw of the posterior to the start, by reversed transitions."""
        point, log_w = self.path.at(code.expand_as(self.start)), self.start.new_zeros(self.start.shape[:-1])
        for t in range(len(self.path.betas) - 1, 0, -1):
            point, _ = self.transition(t, point, self.steps[t - 1])
            log_w += self.path.gain(t, point)
        return log_w

    def transition(self, t: int, point: _Point, step: Tensor) -> tuple[_Point, Tensor]:
        """Return codes after a Hamiltonian transition that leaves distribution t invariant, and acceptances (S, N)."""
        beta, z = self.path.betas[t], point.z
        jitter = 0.5 + self.uniform(*z.shape[:-1], 1)  # so that no trajectory is periodic
        epsilon = jitter * step.unsqueeze(-1) * self.path.scale(t)
        momentum = torch.randn(z.shape, generator=self.generator, dtype=z.dtype, device=z.device)
        before, new = point.energy(beta, momentum), point
        momentum = momentum + 0.5 * epsilon * point.gradient(beta)
        for i in range(self.how.n_leapfrog, 0, -1):
            new = self.path.at(new.z + epsilon * momentum)
            momentum = momentum + (1.0 if i > 1 else 0.5) * epsilon * new.gradient(beta)
        accept = (new.energy(beta, momentum) - before).nan_to_num(nan=-torch.inf).clamp_max(0).exp()
        return new.where(self.uniform(*z.shape[:-1]) < accept, point), accept

    def uniform(self, *shape: int) -> Tensor:
        """Return uniform draws with the dtype of the codes."""
        return torch.rand(shape, generator=self.generator, dtype=self.start.dtype, device=self.start.device)


def draws(distribution: Distribution, n: int, n_rows: int) -> Tensor:
    """Return n draws per sample, (n, N, K), from a distribution of batch shape () or (N,)."""
    return distribution.sample((n,) if distribution.batch_shape else (n, n_rows))


def _schedule(n: int) -> Tensor:
    """Return betas (n + 1,) from 0 to 1, which follow a logistic curve between -4 and 4."""
    curve = torch.sigmoid(torch.linspace(-4, 4, n + 1, dtype=torch.float64))
    return (curve - curve[0]) / (curve[-1] - curve[0])
