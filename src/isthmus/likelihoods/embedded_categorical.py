"""The categorical likelihood of features with very many levels, each of which has a learned vector."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._tensor_shapes import TensorShape
from isthmus.likelihoods._base import FactorizedDistribution
from isthmus.likelihoods._levels import LevelLikelihood

__all__ = ["EmbeddedCategorical"]

_FLAT = 1000  # levels up to which they are one group


@dataclass(eq=False, repr=False)
class EmbeddedCategorical(LevelLikelihood):
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
    With more than 1,000 levels, these form about :math:`\sqrt L` groups of consecutive ones, with vectors of their own:

    .. math:: p(x_d = l \mid z) = p(\text{group of } l \mid z)\; p(l \mid \text{group of } l, z),

    both a softmax as above. A step of training then looks at :math:`2 \sqrt L` levels per sample instead of L.

    Levels have no mean: ``mean`` is the most probable level. Training starts from their frequencies.

    References
    ----------
    Guo & Berkhahn (2016), Entity Embeddings of Categorical Variables; Press & Wolf (2017), Using the Output Embedding
    to Improve Language Models, for one matrix on both sides; Goodman (2001), Classes for Fast Maximum Entropy Training,
    for the groups.

    Examples
    --------
    >>> import torch
    >>> p = EmbeddedCategorical(n_levels=(1000,), width=4); p.build(1)
    >>> p.n_outputs, p.n_inputs, p.log_prob(torch.zeros(4), torch.tensor([3.0]))
    (4, 4, tensor([-6.9078], grad_fn=...))
    """

    width: int = 16

    def build(self, n_features: int) -> None:
        """Make the vectors and the biases of the levels, and those of their groups.

        Raises
        ------
        ValueError
            If `n_levels` is None, or its length is not D; or if a number is not positive.
        """
        super().build(n_features)
        n_levels = self.n_levels or ()
        if min(n_levels) < 1 or self.width < 1:
            raise ValueError(f"{self!r}: n_levels and width must be at least 1.")
        sizes = list(map(_groups, n_levels))
        self.vectors = nn.ParameterList(nn.Parameter(torch.randn(g * size, self.width)) for g, size in sizes)
        self.group_vectors = nn.ParameterList(nn.Parameter(torch.randn(g, self.width)) for g, _ in sizes)
        start = zip(self.log_frequencies(), sizes, strict=True)
        padded = [F.pad(bias, (0, g * size - len(bias))) for bias, (g, size) in start]
        self.biases = nn.ParameterList(nn.Parameter(bias) for bias in padded)
        groups = [b.masked_fill(_padding(b, n), -torch.inf) for b, n in zip(padded, n_levels, strict=True)]
        totals = [b.reshape(g, size).logsumexp(1) for b, (g, size) in zip(groups, sizes, strict=True)]
        self.group_biases = nn.ParameterList(nn.Parameter(total) for total in totals)

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:  # noqa: ARG002 - it is the length of n_levels
        """Yield the vectors and the biases."""
        for d, (n_groups, size) in enumerate(map(_groups, self.n_levels or ())):
            yield f"vectors.{d}", (n_groups * size, self.width)
            yield f"group_vectors.{d}", (n_groups, self.width)
            yield f"biases.{d}", (n_groups * size,)
            yield f"group_biases.{d}", (n_groups,)

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

    def _features(self, h: Tensor) -> Iterator[_Feature]:
        """Yield the parameters of each feature, with the decoder's outputs for it."""
        lists = (self.n_levels or (), self.vectors, self.biases, self.group_vectors, self.group_biases)
        for part, n_levels, *tables in zip(h.split(self.width, dim=-1), *lists, strict=True):
            yield _Feature(part / self.width**0.5, n_levels, *(table.to(h.dtype) for table in tables))

    def forward(self, h: Tensor) -> FactorizedDistribution:
        """Return the distribution of all features, of batch shape (..., D)."""
        return FactorizedDistribution(self, h)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        pairs = zip(self._features(h), x.long().unbind(-1), strict=True)
        return torch.stack([feature.log_prob(level) for feature, level in pairs], -1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the most probable level, (..., D)."""
        return torch.stack([feature.log_probs().argmax(-1) for feature in self._features(h)], -1).to(h)

    def mixture_mean(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return the most probable level under the mixture, (N, D)."""
        shares = [(weight.unsqueeze(-1) * feature.log_probs().exp()).sum(0) for feature in self._features(h)]
        return torch.stack([share.argmax(-1) for share in shares], -1).to(h)

    def sample(self, h: Tensor) -> Tensor:
        """Draw levels, (..., D), in the dtype of `h`."""
        return torch.stack([feature.sample() for feature in self._features(h)], -1).to(h)


class _Feature(NamedTuple):
    """The distribution of one feature: of the group of its level, and of the level in the group.

    Attributes
    ----------
    h : Tensor of shape (..., W)
        The decoder's outputs.
    n_levels : int
        L.
    vectors, biases : Tensor of shape (G * C, W) and (G * C,)
        Of the levels, C of them in each group; those from L on do not exist.
    group_vectors, group_biases : Tensor of shape (G, W) and (G,)
        Of the groups.
    """

    h: Tensor
    n_levels: int
    vectors: Tensor
    biases: Tensor
    group_vectors: Tensor
    group_biases: Tensor

    def log_group_probs(self) -> Tensor:
        """Return the log-probabilities of the groups, (..., G)."""
        return torch.log_softmax(self.h @ self.group_vectors.T + self.group_biases, -1)

    def log_probs_within(self, group: Tensor) -> Tensor:
        """Return the log-probabilities of the levels in some groups (...), (..., C)."""
        n_groups = len(self.group_vectors)
        bias = self.biases.masked_fill(_padding(self.biases, self.n_levels), -torch.inf).reshape(n_groups, -1)
        if n_groups == 1:
            return torch.log_softmax(self.h @ self.vectors.T + bias[0], -1)
        vectors = self.vectors.reshape(n_groups, -1, self.vectors.shape[1])[group]  # (..., C, W)
        return torch.log_softmax((vectors @ self.h.unsqueeze(-1)).squeeze(-1) + bias[group], -1)

    def log_prob(self, level: Tensor) -> Tensor:
        """Return the log-probabilities of levels (...)."""
        size = len(self.vectors) // len(self.group_vectors)
        group = level // size
        return _pick(self.log_group_probs(), group) + _pick(self.log_probs_within(group), level % size)

    def log_probs(self) -> Tensor:
        """Return the log-probabilities of all levels, (..., L)."""
        n_groups = len(self.group_vectors)
        logits = self.h @ self.vectors.T + self.biases.masked_fill(_padding(self.biases, self.n_levels), -torch.inf)
        within = torch.log_softmax(logits.unflatten(-1, (n_groups, -1)), -1)
        return (self.log_group_probs().unsqueeze(-1) + within).flatten(-2)[..., : self.n_levels]

    def sample(self) -> Tensor:
        """Draw levels (...)."""
        group = _draw(self.log_group_probs())
        return group * (len(self.vectors) // len(self.group_vectors)) + _draw(self.log_probs_within(group))


def _groups(n_levels: int) -> tuple[int, int]:
    """Return the number of groups of levels, and their size, both about the root of a large number of levels."""
    if n_levels <= _FLAT:
        return 1, n_levels
    size = math.isqrt(n_levels - 1) + 1
    return -(-n_levels // size), size


def _padding(values: Tensor, n_levels: int) -> Tensor:
    """Return where elements of a vector stand for no level."""
    return torch.arange(len(values), device=values.device) >= n_levels


def _pick(log_probs: Tensor, index: Tensor) -> Tensor:
    """Return the elements (...) of log-probabilities (..., L) at these indices, which may lack leading dimensions."""
    return log_probs.gather(-1, index.expand(log_probs.shape[:-1]).unsqueeze(-1)).squeeze(-1)


def _draw(log_probs: Tensor) -> Tensor:
    """Return one draw (...) from each distribution of log-probabilities (..., L)."""
    return torch.multinomial(log_probs.exp().reshape(-1, log_probs.shape[-1]), 1).reshape(log_probs.shape[:-1])
