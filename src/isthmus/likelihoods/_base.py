"""The base of the likelihoods."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._part import Part

__all__ = ["Likelihood"]

_FILLERS = (0.0, 1.0, 0.5, -1.0, 10.0, 100.0, 1000.0, -10.0, -100.0)


class Likelihood(Part):
    """Base of the likelihoods p(x|z): columns are independent given z.

    ``forward`` maps decoder outputs (..., n_outputs) to a torch distribution of batch shape (..., D);
    ``log_prob``, ``mean`` and ``sample`` follow from it, and a closed form may override each of them (all three, and
    ``forward`` returns :class:`FactorizedDistribution`, where torch has no such distribution).

    Attributes
    ----------
    default_scaling : str or Part
        The scaling that ``scaling="auto"`` takes for it.
    density : bool
        Whether it is a density on the real line, so that scaling adds its log-determinant.
    interval_support : bool
        Whether what it takes is an interval: a column is inside where its extremes are.
    centred : bool
        Whether the encoder sees columns less their mean in the training rows: what standard scaling does to those of a
        density. Probabilities are not scaled, and a network learns slowly from inputs that are all of one sign.
    binary : bool
        Whether it is a probability of 0 and 1, which gives no density for values between them.
    support_text : str
        What values it takes, for messages: "... takes only values in [0, 1]".
    transforms_input : bool
        Whether ``encoder_input`` changes what it is given. The contractive penalty is then computed by automatic
        differentiation, as its closed forms are those of the network alone.
    filler : float or None
        A value that every feature supports. Missing cells hold it while ``log_prob`` is computed; their results do not
        count, but must have finite gradients. None picks one by ``supports``.
    """

    n_features: int
    default_scaling: str | Part = "standard"
    density: bool = True
    interval_support: bool = False
    centred: bool = False
    binary: bool = False
    support_text: str = "that are finite numbers"
    transforms_input: bool = False
    filler: float | None = None

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Fill hyperparameters left open (None), and measure what else it has to know, before ``build``.

        Parameters
        ----------
        x : Tensor of shape (N, D)
            Training rows in the model's units, NaN where missing.
        weight : Tensor of shape (N,), optional
            Sample weights.
        """

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

    def density_columns(self) -> Tensor:
        """Return ``density`` for each column, bool of shape (D,)."""
        return torch.full((self.n_features,), self.density)

    def centred_columns(self) -> Tensor:
        """Return ``centred`` for each column, bool of shape (D,)."""
        return torch.full((self.n_features,), self.centred)

    def for_column(self, column: int) -> Likelihood:  # noqa: ARG002 - a default
        """Return the likelihood of one column, for messages: itself, where all columns have the same."""
        return self

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return the encoder's inputs for samples `x` (..., D) in the model's units: `x` itself by default.

        An override sets ``transforms_input``, maps every cell by itself, and takes any finite number, as corruptions
        come first. Counts of thousands would saturate a network: their likelihoods standardise log(1 + x).
        """
        return x

    def sample_targets(self, x: Tensor) -> Tensor:
        """Return what a step of training takes rows `x` (..., D) for: themselves, or draws that they are means of.

        From torch's default generator; encoder and likelihood both see it.
        """
        return x

    @abstractmethod
    def forward(self, h: Tensor) -> Distribution:
        """Return p(x|z), of batch shape (..., D), for decoder outputs `h` (..., n_outputs)."""

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z) of every cell in nats, (..., D), not summed."""
        return self(h).log_prob(x)

    def row_log_prob(self, h: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return log p(x|z) in nats, (...): the sum of ``log_prob`` over the features whose `mask` (..., D) is not 0.

        `x` may hold anything where `mask` is 0.
        """
        if mask is None:
            return self.log_prob(h, x).sum(-1)
        return self.log_prob(h, self.fill_missing(x, mask)).masked_fill(mask == 0, 0.0).sum(-1)

    def fill_missing(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return `x` (..., D) with ``filler`` where `mask` is 0."""
        if self.filler is None:  # found once: to ask a tensor is to wait for the device
            self.filler = self._find_filler(x)
        return torch.where(mask == 0, self.filler, x)

    def _find_filler(self, x: Tensor) -> float:
        for value in _FILLERS:
            if bool(self.supports(x.new_full((1, x.shape[-1]), value)).all()):
                return value
        raise NotImplementedError(f"{self!r}: set the class attribute `filler` to a value that every feature supports.")

    def mean(self, h: Tensor) -> Tensor:
        """Return E[x|z], (..., D)."""
        return self(h).mean

    def mixture_mean(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return E[x], (N, D), under a mixture of decoder outputs `h` (S, N, n_outputs) with weights (S, N)."""
        return (weight.unsqueeze(-1) * self.mean(h)).sum(0)

    def sample(self, h: Tensor) -> Tensor:
        """Draw x ~ p(x|z), (..., D), from torch's default generator."""
        return self(h).sample()

    def sample_into(self, out: Tensor, h: Tensor) -> Tensor:
        """Write the draws of ``sample`` into `out` (..., D) and return it; a likelihood that can draws them there."""
        return out.copy_(self.sample(h))
