"""The categorical likelihood: features with levels 0, 1, ..., L - 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical

from isthmus._tensor_shapes import TensorShape
from isthmus.likelihoods._levels import LevelLikelihood

__all__ = ["Categorical"]

_MAX_CELLS = 4_000_000  # of the table (D, L) that maps levels to decoder outputs


@dataclass(eq=False, repr=False)
class Categorical(LevelLikelihood):
    r"""The categorical likelihood of features with levels 0, ..., L_d - 1: p(x|z) = prod_d softmax(h_d(z))_{x_d}.

    Parameters
    ----------
    n_levels : tuple of int, optional
        L_d, the number of levels of each feature. By default, the largest level in the training data plus 1.
    ordered : tuple of bool, optional
        Whether the levels of each feature are ordered; by default none are.

    Notes
    -----
    The encoder has one input for each level, 1 for that of a sample and 0 for the others.

    Levels have no mean. Instead, ``mean`` is the most probable level, or the smaller of two that are equally probable.
    For ordered levels, it is the median.

    Examples
    --------
    >>> import torch
    >>> p = Categorical(n_levels=(2, 3)); p.build(2)
    >>> p.n_outputs, p.log_prob(torch.zeros(5), torch.tensor([1.0, 2.0]))
    (5, tensor([-0.6931, -1.0986]))
    """

    ordered: tuple[bool, ...] | None = None

    def build(self, n_features: int) -> None:
        """Store which decoder outputs belong to each feature.

        Raises
        ------
        ValueError
            If `n_levels` is None, or its length, or that of `ordered`, is not D.
        """
        super().build(n_features)
        if self.ordered is not None and len(self.ordered) != n_features:
            raise ValueError(f"{self!r}: ordered must have one entry for each of the {n_features} columns.")
        n_levels = self.n_levels or ()
        largest = max(n_levels)
        if min(n_levels) < 1 or n_features * largest > _MAX_CELLS:
            raise ValueError(
                f"{self!r}: n_levels must be at least 1, and the largest times the {n_features} columns at most "
                f"{_MAX_CELLS:,}; use Mixed, with a separate likelihood for columns of many levels."
            )
        self.register_buffer("log_frequency", torch.cat(self.log_frequencies()))
        levels = torch.tensor(n_levels)
        start = levels.cumsum(0) - levels
        place = torch.arange(largest)
        exists = place < levels.unsqueeze(-1)  # (D, L)
        self.register_buffer("levels", levels, persistent=False)
        self.register_buffer("exists", exists, persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("kept", exists.flatten().nonzero().squeeze(1), persistent=False)
        self.register_buffer("index", torch.where(exists, start.unsqueeze(-1) + place, 0), persistent=False)

    def count_outputs(self, n_features: int) -> int:  # noqa: ARG002 - it is the length of n_levels
        """Return the number of decoder outputs: the sum of the numbers of levels."""
        return sum(self.n_levels or ())

    def count_inputs(self, n_features: int) -> int:
        """Return the number of the encoder's inputs: one for each level."""
        return self.count_outputs(n_features)

    def input_columns(self) -> Tensor:
        """Return the feature of each level."""
        return torch.arange(self.n_features).repeat_interleave(self.get_buffer("levels").cpu())

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return 1 for the level of each feature and 0 for its others, (..., n_inputs); between levels, a mixture."""
        near = (1 - (x.unsqueeze(-1) - self.get_buffer("place")).abs()).clamp(min=0)  # (..., D, L)
        return near.flatten(-2).index_select(-1, self.get_buffer("kept"))

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:
        """Yield the logarithms of the frequencies."""
        yield "log_frequency", (self.count_outputs(n_features),)

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return the logarithms of the frequencies of all levels in the training data, or 0 before they are known."""
        return self.get_buffer("log_frequency").to(mean)

    def supports(self, x: Tensor) -> Tensor:
        """Return where `x` is a whole number from 0 to L_d - 1."""
        return (x == x.round()) & (x >= 0) & (x < self.get_buffer("levels"))

    def forward(self, h: Tensor) -> TorchCategorical:
        """Return the categorical distributions, of batch shape (..., D)."""
        logits = torch.where(self.get_buffer("exists"), h[..., self.get_buffer("index")], float("-inf"))
        return TorchCategorical(logits=logits, validate_args=False)

    def marginal(self, h: Tensor, column: int) -> TorchCategorical:
        """Return the categorical distribution of one feature."""
        n_levels = self.n_levels or ()
        start = sum(n_levels[:column])
        return TorchCategorical(logits=h[..., start : start + n_levels[column]], validate_args=False)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D)."""
        logits = self(h).logits  # (..., D, L), normalised
        index = x.long().expand(logits.shape[:-1]).unsqueeze(-1)
        return logits.gather(-1, index).squeeze(-1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the most probable level, or the median of ordered levels, (..., D)."""
        return self._central(self(h).probs).to(h)

    def mixture_mean(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return the most probable level under the mixture, or the median of ordered levels, (N, D)."""
        return self._central((weight[..., None, None] * self(h).probs).sum(0)).to(h)

    def _central(self, probabilities: Tensor) -> Tensor:
        """Return the levels (..., D) for probabilities (..., D, L)."""
        likely = probabilities.argmax(-1)
        if not any(self.ordered or ()):
            return likely
        median = (probabilities.cumsum(-1) < 0.5).sum(-1).clamp(max=probabilities.shape[-1] - 1)
        return torch.where(torch.tensor(self.ordered, device=likely.device), median, likely)

    def sample(self, h: Tensor) -> Tensor:
        """Draw levels, (..., D), in the dtype of `h`."""
        return self(h).sample().to(h)
