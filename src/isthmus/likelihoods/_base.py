"""The base of the likelihoods."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._part import Part

__all__ = ["Likelihood"]


class Likelihood(Part):
    """Base of the likelihoods p(x|z): columns are independent given z.

    ``forward`` maps decoder outputs (..., n_outputs) to a torch distribution of batch shape (..., D);
    ``log_prob``, ``mean`` and ``sample`` follow from it, and a closed form may override each of them.

    Attributes
    ----------
    default_scaling : str
        The scaling that ``scaling="auto"`` takes for it.
    density : bool
        Whether it is a density on the real line, so that scaling adds its log-determinant.
    support_text : str
        What a value has to be, for messages.
    """

    n_features: int
    default_scaling = "standard"
    density = True
    support_text = "a finite number"

    def infer(self, x: Tensor) -> None:
        """Fill hyperparameters left open (None) from training rows `x`, before ``build``."""

    def build(self, n_features: int) -> None:
        """Make the tensors for D = `n_features`."""
        self.n_features = n_features

    @property
    def n_outputs(self) -> int:
        """How many numbers a row of the decoder gives."""
        return self.n_features

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return decoder outputs (n_outputs,) that fit columns of mean `mean`: the bias to start from."""
        return mean.new_zeros(self.n_outputs)

    def supports(self, x: Tensor) -> Tensor:
        """Return where `x` (N, D), in the model's units, may be scored: bool of shape (N, D)."""
        return torch.isfinite(x)

    @abstractmethod
    def forward(self, h: Tensor) -> Distribution:
        """Return p(x|z), of batch shape (..., D), for decoder outputs `h` (..., n_outputs)."""

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z) of every cell in nats, (..., D), not summed."""
        return self(h).log_prob(x)

    def mean(self, h: Tensor) -> Tensor:
        """Return E[x|z], (..., D)."""
        return self(h).mean

    def average(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return E[x], (N, D), under a mixture of decoder outputs `h` (S, N, n_outputs) with weights (S, N)."""
        return (weight.unsqueeze(-1) * self.mean(h)).sum(0)

    def sample(self, h: Tensor) -> Tensor:
        """Draw x ~ p(x|z), (..., D), from torch's default generator."""
        return self(h).sample()
