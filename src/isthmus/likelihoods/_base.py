"""The base class of the likelihoods, and the distribution of those that torch.distributions lacks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Distribution

from isthmus._part import Part
from isthmus._tensor_shapes import TensorShape

__all__ = ["FactorizedDistribution", "Likelihood"]

_FILLERS = (0.0, 1.0, 0.5, -1.0, 10.0, 100.0, 1000.0, -10.0, -100.0)


class Likelihood(Part):
    """Base of the likelihoods p(x|z), in which features are independent given z.

    ``forward`` maps decoder outputs (..., n_outputs) to a torch distribution of batch shape (..., D). ``log_prob``,
    ``mean`` and ``sample`` follow from it; override those that have a closed form. If torch has no such distribution,
    override all three, and return a :class:`FactorizedDistribution` from ``forward``.

    Attributes
    ----------
    default_scaling : str or Part
        The scaling that ``scaling="auto"`` stands for.
    density : bool
        Whether it is a density on the real line: then scaling adds its log-determinant to log p(x).
    interval_support : bool
        Whether the support is an interval, so that checking the minimum and maximum of a feature is enough.
    levels_only : bool
        Whether values are numbers of levels, which cannot be averaged: ``mean`` is the most probable one.
    centred : bool
        Whether the encoder's inputs are centred, which standard scaling does for densities. Probabilities are not
        scaled, and networks learn slowly from inputs that all have one sign.
    binary : bool
        Whether the support is {0, 1}. Values between them stand for probabilities of a 1, and have no density.
    support_text : str
        The support, for messages: "... takes only values in [0, 1]".
    transforms_input : bool
        Whether ``encoder_input`` changes the samples. The contractive penalty is then computed by automatic
        differentiation, as its closed forms are those of the network alone.
    filler : float or None
        A value that every feature supports. Missing cells hold it while ``log_prob`` is computed; their results are not
        used, but must have finite gradients. If None, a value is found with ``supports``.
    starts_linear : bool
        Whether ``linear_outputs`` works, so that training can start from a linear model.
    """

    n_features: int
    default_scaling: str | Part = "standard"
    density: bool = True
    interval_support: bool = False
    levels_only: bool = False
    centred: bool = False
    binary: bool = False
    support_text: str = "that are finite numbers"
    transforms_input: bool = False
    filler: float | None = None
    starts_linear: bool = False

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Set hyperparameters that are None, and other statistics of the training data, before ``build``.

        Parameters
        ----------
        x : Tensor of shape (N, D)
            Training samples in the model's units, NaN where missing.
        weight : Tensor of shape (N,), optional
            Sample weights.
        """

    def build(self, n_features: int) -> None:
        """Make the tensors for D = `n_features`."""
        self.n_features = n_features

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:  # noqa: ARG002 - subclasses need it
        """Yield the tensors that ``build`` makes and that are saved, for the parts of isthmus."""
        return iter(())

    def count_outputs(self, n_features: int) -> int:
        """Return ``n_outputs`` for D = `n_features`, also before ``build``, for the parts of isthmus."""
        return n_features

    @property
    def n_outputs(self) -> int:
        """Number of decoder outputs per sample."""
        return self.count_outputs(self.n_features)

    def count_inputs(self, n_features: int) -> int:
        """Return ``n_inputs`` for D = `n_features`, also before ``build``, for the parts of isthmus."""
        return n_features

    @property
    def n_inputs(self) -> int:
        """Number of the encoder's inputs per sample, the width of :meth:`encoder_input`."""
        return self.count_inputs(self.n_features)

    def input_columns(self) -> Tensor:
        """Return the feature that each of the encoder's inputs stands for, (n_inputs,): they are 0 if it is missing."""
        return torch.arange(self.n_features)

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return decoder outputs (n_outputs,) at which :meth:`mean` is about `mean` (D,).

        Training starts from them: they become the bias of the decoder's last layer. `mean` is that of the training
        samples, in the model's units. The default is 0.
        """
        return mean.new_zeros(self.n_outputs)

    def linear_columns(self, n_features: int) -> list[int]:
        """Return the features of which ``linear_outputs`` makes use, in ascending order: all, or none."""
        return list(range(n_features)) if self.starts_linear else []

    def binary_columns(self, n_features: int) -> list[int]:
        """Return the features with two values."""
        return list(range(n_features)) if self.binary else []

    def linear_outputs(self, loadings: Tensor, mean: Tensor, noise_variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight (n_outputs, K) and bias (n_outputs,) of a linear decoder.

        The scale parameters of the built likelihood are set to those of the linear model.

        Parameters
        ----------
        loadings : Tensor of shape (D, K)
        mean : Tensor of shape (D,)
            E[x|z] is ``loadings @ z + mean``, in the model's units.
        noise_variance : Tensor of shape (D,)
            Variance of each feature given z.
        """
        raise NotImplementedError

    def supports(self, x: Tensor) -> Tensor:
        """Return where `x` (N, D), in the model's units, lies in the support, bool of shape (N, D)."""
        return torch.isfinite(x)

    def density_columns(self) -> Tensor:
        """Return ``density`` for each feature, bool of shape (D,)."""
        return torch.full((self.n_features,), self.density)

    def level_columns(self) -> Tensor:
        """Return whether values of each feature number levels, so that they have no mean, bool of shape (D,)."""
        return torch.full((self.n_features,), self.levels_only)

    def centred_columns(self) -> Tensor:
        """Return ``centred`` for each feature, bool of shape (D,)."""
        return torch.full((self.n_features,), self.centred)

    def for_column(self, column: int) -> Likelihood:  # noqa: ARG002 - a default
        """Return the likelihood of one feature, for messages: itself if all features have the same."""
        return self

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return the encoder's inputs (..., n_inputs) for samples `x` (..., D) in the model's units: `x` by default.

        An override sets ``transforms_input``, maps every cell by itself, and takes any finite number, as corruptions
        come first. Counts of thousands would saturate a network: their likelihoods standardise log(1 + x).
        """
        return x

    def sample_targets(self, x: Tensor) -> Tensor:
        """Return the samples of a training step for data `x` (..., D): `x` itself, or draws with mean `x`.

        Draws come from torch's default generator; both the encoder and the loss get them.
        """
        return x

    @abstractmethod
    def forward(self, h: Tensor) -> Distribution:
        """Return p(x|z), of batch shape (..., D), for decoder outputs `h` (..., n_outputs)."""

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z) of every cell in nats, (..., D)."""
        return self(h).log_prob(x)

    def marginal(self, h: Tensor, column: int) -> Distribution:
        """Return p(x_d|z) of one feature, of batch shape (...), from which expectations of any function follow."""
        raise NotImplementedError

    def row_log_prob(self, h: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return log p(x|z) in nats, (...): the sum of ``log_prob`` over the features whose `mask` (..., D) is not 0.

        `x` may hold anything where `mask` is 0.
        """
        if mask is None:
            return self.log_prob(h, x).sum(-1)
        return self.log_prob(h, self.fill_missing(x, mask)).masked_fill(mask == 0, 0.0).sum(-1)

    def smooth_log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return a function (..., D) whose second derivatives in `h` measure the curvature of ``log_prob``.

        It is ``log_prob`` itself, except where its second derivatives are 0 and its expectation is curved all the same.
        """
        return self.log_prob(h, x)

    def fill_missing(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return `x` (..., D) with ``filler`` where `mask` is 0."""
        if self.filler is None:  # found once, since reading a tensor's value waits for the device
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
        """Write the draws of ``sample`` to `out` (..., D), and return it. An override may save the copy."""
        return out.copy_(self.sample(h))


class FactorizedDistribution(Distribution):
    """p(x|z) as computed by its likelihood, of batch shape (..., D).

    Parameters
    ----------
    likelihood : Likelihood
        A built likelihood that overrides ``log_prob``, ``mean`` and ``sample``.
    h : Tensor of shape (..., n_outputs)
        Decoder outputs.
    """

    arg_constraints = {}

    def __init__(self, likelihood: Likelihood, h: Tensor) -> None:
        super().__init__(torch.Size((*h.shape[:-1], likelihood.n_features)), validate_args=False)
        self.likelihood, self.h = likelihood, h

    @property
    def mean(self) -> Tensor:
        """E[x|z], (..., D)."""
        return self.likelihood.mean(self.h)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(x_d|z) of cells (..., D)."""
        return self.likelihood.log_prob(self.h, value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw cells, ``(*sample_shape, ..., D)``."""
        return self.likelihood.sample(self.h.expand(*sample_shape, *self.h.shape))
