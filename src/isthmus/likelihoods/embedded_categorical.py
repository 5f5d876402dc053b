"""The categorical likelihood of features with very many levels, each of which has a learned vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from isthmus._tensor_shapes import TensorShape
from isthmus.likelihoods._base import FactorizedDistribution, Likelihood
from isthmus.likelihoods.categorical import log_frequencies, number_of_levels

__all__ = ["EmbeddedCategorical"]


@dataclass(eq=False, repr=False)
class EmbeddedCategorical(Likelihood):
    r"""The categorical likelihood of features with very many levels, by learned vectors of the levels.

    .. math:: \log p(x_d = l \mid z) = \log \mathrm{softmax}\big(E_d\, h_d(z) + b_d\big)_l

    with a vector of `width` numbers for each level, a row of E. The decoder's output h_d has `width` numbers per
    feature instead of one for each level, and the encoder gets the vector of a sample's level.

    Parameters
    ----------
    n_levels : tuple of int, optional
        L_d, the number of levels of each feature. By default, the largest level in the training data plus 1.
    width : int, default=16
        Size of the vectors.

    Notes
    -----
    Levels have no mean: ``mean`` is the most probable level. Training starts from their frequencies.

    References
    ----------
    Guo & Berkhahn (2016), Entity Embeddings of Categorical Variables; Press & Wolf (2017), Using the Output Embedding
    to Improve Language Models, for one matrix on both sides.

    Examples
    --------
    >>> import torch
    >>> p = EmbeddedCategorical(n_levels=(1000,), width=4); p.build(1)
    >>> p.n_outputs, p.n_inputs, p.log_prob(torch.zeros(4), torch.tensor([3.0]))
    (4, 4, tensor([-6.9078], grad_fn=...))
    """

    n_levels: tuple[int, ...] | None = None
    width: int = 16

    default_scaling = "none"
    density = False
    transforms_input = True
    support_text = "that are whole numbers from 0 to the column's number of levels - 1"

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Count the levels, and set their numbers if they are None: the largest level + 1, and at least 2.

        Raises
        ------
        ValueError
            If a level is too large to be the number of a category.
        """
        if self.n_levels is None:
            self.n_levels = number_of_levels(self, x)
        self._log_frequencies = log_frequencies(x, self.n_levels, weight)

    def build(self, n_features: int) -> None:
        """Make the vectors and the biases of the levels.

        Raises
        ------
        ValueError
            If `n_levels` is None, or its length is not D; or if a number is not positive.
        """
        super().build(n_features)
        if self.n_levels is None or len(self.n_levels) != n_features:
            raise ValueError(f"{self!r}: n_levels must have one number for each of the {n_features} columns.")
        if min(self.n_levels) < 1 or self.width < 1:
            raise ValueError(f"{self!r}: n_levels and width must be at least 1.")
        start = getattr(self, "_log_frequencies", [torch.zeros(n) for n in self.n_levels])
        self.vectors = nn.ParameterList(nn.Parameter(torch.randn(n, self.width)) for n in self.n_levels)
        self.biases = nn.ParameterList(nn.Parameter(bias.clone()) for bias in start)

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:  # noqa: ARG002 - it is the length of n_levels
        """Yield the vectors and the biases."""
        yield from ((f"vectors.{d}", (n, self.width)) for d, n in enumerate(self.n_levels or ()))
        yield from ((f"biases.{d}", (n,)) for d, n in enumerate(self.n_levels or ()))

    def count_outputs(self, n_features: int) -> int:
        """Return the number of decoder outputs: `width` per feature."""
        return n_features * self.width

    def count_inputs(self, n_features: int) -> int:
        """Return the number of the encoder's inputs: `width` per feature."""
        return n_features * self.width

    def input_columns(self) -> Tensor:
        """Return the feature of each number of a vector."""
        return torch.arange(self.n_features).repeat_interleave(self.width)

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return the vectors of the levels, (..., n_inputs); a corrupted level counts as the nearest one."""
        levels = x.round().long()
        pairs = zip(self.vectors, levels.unbind(-1), strict=True)
        return torch.cat([v[level.clamp(0, len(v) - 1)].to(x.dtype) for v, level in pairs], -1)

    def supports(self, x: Tensor) -> Tensor:
        """Return where `x` is a whole number from 0 to L_d - 1."""
        return (x == x.round()) & (x >= 0) & (x < torch.tensor(self.n_levels, device=x.device))

    def _logits(self, h: Tensor) -> Iterator[Tensor]:
        """Yield the normalised log-probabilities of the levels of each feature, (..., L_d)."""
        for vectors, bias, part in zip(self.vectors, self.biases, h.split(self.width, dim=-1), strict=True):
            yield torch.log_softmax(part @ vectors.T.to(h.dtype) / self.width**0.5 + bias.to(h.dtype), -1)

    def forward(self, h: Tensor) -> FactorizedDistribution:
        """Return the distribution of all features, of batch shape (..., D)."""
        return FactorizedDistribution(self, h)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        pairs = zip(self._logits(h), x.long().unbind(-1), strict=True)
        return torch.stack(
            [p.gather(-1, level.expand(p.shape[:-1]).unsqueeze(-1)).squeeze(-1) for p, level in pairs], -1
        )

    def mean(self, h: Tensor) -> Tensor:
        """Return the most probable level, (..., D)."""
        return torch.stack([p.argmax(-1) for p in self._logits(h)], -1).to(h)

    def mixture_mean(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return the most probable level under the mixture, (N, D)."""
        return torch.stack([(weight.unsqueeze(-1) * p.exp()).sum(0).argmax(-1) for p in self._logits(h)], -1).to(h)

    def sample(self, h: Tensor) -> Tensor:
        """Draw levels, (..., D), in the dtype of `h`."""
        draws = [torch.multinomial(p.exp().reshape(-1, p.shape[-1]), 1).reshape(p.shape[:-1]) for p in self._logits(h)]
        return torch.stack(draws, -1).to(h)
