"""Markov chains between a start and the posterior of a chunk of rows, for annealed importance sampling."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._random import derive, seeded
from isthmus.model import Model

__all__ = ["PILOTS", "Annealing", "Chain", "Path", "draws"]

_ACCEPT = 0.8  # what the steps of Hamiltonian Monte Carlo are tuned to
PILOTS = 8  # chains that tune the steps
_LONGEST = 2.0  # length of a trajectory, in standard deviations: a little over pi / 2, where it forgets most


class Annealing(NamedTuple):
    """How to anneal.

    Attributes
    ----------
    n_distributions : int, default=300
        T, distributions on the way from the start to the posterior. The error falls as 1 / T.
    n_chains : int, default=16
        S, chains for each row.
    n_leapfrog : int, default=3
        Leapfrog steps in each transition.
    from_posterior : bool, default=True
        Whether to start from q(z|x), or from p(z): the longer way, on which q takes no part.
    """

    n_distributions: int = 300
    n_chains: int = 16
    n_leapfrog: int = 3
    from_posterior: bool = True


class _Point(NamedTuple):
    """Codes z (S, N, K), log densities there of the path's two ends (S, N), and their gradients (S, N, K)."""

    z: Tensor
    start: Tensor
    joint: Tensor
    start_gradient: Tensor
    joint_gradient: Tensor

    def energy(self, beta: Tensor, momentum: Tensor) -> Tensor:
        """Return the log density, without its constant, less the momentum's energy, (S, N)."""
        return (1 - beta) * self.start + beta * self.joint - 0.5 * momentum.square().sum(-1)

    def gradient(self, beta: Tensor) -> Tensor:
        """Return the gradient of the log density, (S, N, K)."""
        return (1 - beta) * self.start_gradient + beta * self.joint_gradient

    def where(self, taken: Tensor, other: _Point) -> _Point:
        """Return these codes where `taken` (S, N), elsewhere the others."""
        masks = (taken.unsqueeze(-1) if new.ndim > taken.ndim else taken for new in self)
        return _Point(*(torch.where(mask, new, old) for mask, new, old in zip(masks, self, other, strict=True)))


class Path(NamedTuple):
    """The geometric path of one chunk of rows, start(z)^(1 - beta) p(x, z)^beta.

    ``scales`` (2, N, K) are standard deviations of start and posterior, by which momenta are preconditioned.
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
        """Return the path of a chunk of rows; its scales are measured on draws, which every distribution has."""
        q, prior = model.q(x, c, mask), model.p_z(c)
        start = q if how.from_posterior else prior
        scales = torch.stack([draws(d, 64, len(x)).std(0) for d in (start, q)])
        return cls(model, x, c, mask, start, prior, scales, _schedule(how.n_distributions).to(x))

    def log_joint(self, z: Tensor) -> Tensor:
        """Return log p(x, z), (S, N)."""
        return self.model.log_likelihood(z, self.x, self.c, self.mask) + self.prior.log_prob(z)

    @torch.enable_grad()
    def at(self, z: Tensor) -> _Point:
        """Return both ends of the path at codes (S, N, K), with their gradients."""
        z = z.detach().requires_grad_()
        ends = self.start.log_prob(z), self.log_joint(z)
        gradients = (torch.autograd.grad(end.sum(), z)[0] for end in ends)
        return _Point(z.detach(), *(end.detach() for end in ends), *gradients)

    def gain(self, t: int, point: _Point) -> Tensor:
        """Return what the log weight gains between distributions t - 1 and t, (S, N)."""
        return (self.betas[t] - self.betas[t - 1]) * (point.joint - point.start)

    def scale(self, t: int) -> Tensor:
        """Return standard deviations of distribution t, (N, K), as if all were normal: precisions add."""
        precision = self.scales.square().reciprocal()
        return ((1 - self.betas[t]) * precision[0] + self.betas[t] * precision[1]).rsqrt()


class Chain(NamedTuple):
    """Chains on a path: where they start, how far they step and what they draw from."""

    path: Path
    start: Tensor
    steps: Tensor
    how: Annealing
    generator: torch.Generator

    @classmethod
    def begin(cls, model: Model, x: Tensor, c: Tensor | None, mask: Tensor | None, how: Annealing, seed: int) -> Chain:
        """Return chains for a chunk of rows, their steps tuned by pilots of their own."""
        with seeded(seed, x.device):
            path = Path.of(model, x, c, mask, how)
            start, pilots = (draws(path.start, n, len(x)) for n in (how.n_chains, PILOTS))
        generator = torch.Generator(x.device).manual_seed(derive(seed, 1))
        chain = cls(path, start, start.new_full((1, len(x)), _LONGEST / how.n_leapfrog), how, generator)
        return chain._replace(steps=chain.tuned(pilots))

    def tuned(self, z: Tensor) -> Tensor:
        """Return step sizes (T, N) that pilots `z` found on their way."""
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
        """Return log weights (S, N) of chains from a draw of the posterior to the start: each step its own reverse."""
        point, log_w = self.path.at(code.expand_as(self.start)), self.start.new_zeros(self.start.shape[:-1])
        for t in range(len(self.path.betas) - 1, 0, -1):
            point, _ = self.transition(t, point, self.steps[t - 1])
            log_w += self.path.gain(t, point)
        return log_w

    def transition(self, t: int, point: _Point, step: Tensor) -> tuple[_Point, Tensor]:
        """Return codes after a Hamiltonian step that leaves distribution t as it is, and acceptances (S, N)."""
        beta, z = self.path.betas[t], point.z
        jitter = 0.5 + self.uniform(*z.shape[:-1], 1)  # no trajectory comes back to where it began
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
        """Return uniform draws in the chains' own number format."""
        return torch.rand(shape, generator=self.generator, dtype=self.start.dtype, device=self.start.device)


def draws(distribution: Distribution, n: int, n_rows: int) -> Tensor:
    """Return n draws for each row, (n, N, K), of a distribution of one row or of all."""
    return distribution.sample((n,) if distribution.batch_shape else (n, n_rows))


def _schedule(n: int) -> Tensor:
    """Return betas from 0 to 1, (n + 1,), denser at both ends: a logistic curve between -4 and 4."""
    curve = torch.sigmoid(torch.linspace(-4, 4, n + 1, dtype=torch.float64))
    return (curve - curve[0]) / (curve[-1] - curve[0])
