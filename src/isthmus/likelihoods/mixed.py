"""The mixed likelihood: a likelihood for each group of features, for tables with columns of several kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from isthmus._part import Part, resolve
from isthmus._tensor_shapes import TensorShape, within
from isthmus.likelihoods._base import FactorizedDistribution, Likelihood

__all__ = ["Mixed"]


@dataclass(eq=False, repr=False)
class Mixed(Likelihood):
    r"""A likelihood for each group of features: p(x|z) = prod_g p_g(x_{columns of g}|z).

    .. math:: \log p(x|z) = \sum_g \sum_{d \in g} \log p_g(x_d|z)

    Parameters
    ----------
    parts : tuple of str or Likelihood
        The likelihood of each group, by name ("gaussian") or as a part (``Gaussian(scale="feature")``).
    columns : tuple of tuple of int
        The columns of each group; every column is in exactly one group. :meth:`by_column` makes both from a list of
        one likelihood per column.

    Notes
    -----
    Every group is scaled as its likelihood alone would be, and only densities get the log-determinant. log p(x) is a
    sum of log-densities (in the data's units) and log-probabilities, so compare it only between models of the same
    columns with the same kinds of likelihood.

    References
    ----------
    Nazábal et al. (2020), Handling Incomplete Heterogeneous Data using VAEs, equation 3.

    Examples
    --------
    >>> import torch
    >>> p = Mixed.by_column(["gaussian", "bernoulli", "gaussian"]); p
    Mixed(parts=('gaussian', 'bernoulli'), columns=((0, 2), (1,)))
    >>> p.build(3)
    >>> p.log_prob(torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
    tensor([-0.9199, -0.6931, -0.9199], grad_fn=...)
    """

    parts: tuple[str | Likelihood, ...] = ()
    columns: tuple[tuple[int, ...], ...] = ()

    support_text = "that the likelihoods of its columns take"

    @classmethod
    def by_column(cls, likelihoods: Sequence[str | Likelihood]) -> Self:
        """Return the mixed likelihood with one likelihood per column.

        Columns with the same name, or the same object, form a group, and share parameters that are learned once for
        all of its features (``scale="shared"``).

        Parameters
        ----------
        likelihoods : sequence of str or Likelihood
            One for each of the D columns.
        """
        groups: dict[object, tuple[str | Likelihood, list[int]]] = {}
        for column, likelihood in enumerate(likelihoods):
            key = likelihood if isinstance(likelihood, str) else id(likelihood)
            groups.setdefault(key, (likelihood, []))[1].append(column)
        return cls(tuple(part for part, _ in groups.values()), tuple(tuple(group) for _, group in groups.values()))

    def _described(self, n_features: int | None = None) -> list[Likelihood]:
        """Return a new part for each group."""
        self._check_columns(n_features)
        return [resolve("likelihoods", part, Likelihood) for part in self.parts]

    def _sized(self, n_features: int) -> list[tuple[Likelihood, int]]:
        """Return an unbuilt part and the number of columns of each group; those of one name are one object."""
        self._check_columns(n_features)
        named = {part: resolve("likelihoods", part, Likelihood) for part in self.parts if isinstance(part, str)}
        parts = [named[part] if isinstance(part, str) else part for part in self.parts]
        return [(part, len(columns)) for part, columns in zip(parts, self.columns, strict=True)]

    def _check_columns(self, n_features: int | None) -> None:
        """Raise a ValueError unless every column is in exactly one group."""
        named = sorted(column for group in self.columns for column in group)
        width = len(named) if n_features is None else n_features
        whole = len(named) == width and named == list(range(width))
        if len(self.parts) != len(self.columns) or not all(self.columns) or not whole:
            raise ValueError(
                f"{self!r}: columns must have one group for each of parts, and name each of the {width} columns (0 to "
                f"{width - 1}) once."
            )

    @property
    def default_scaling(self) -> Part:  # type: ignore[override]  # depends on the parameters
        """The default scaling of each group, joined by the scaling "per_column"."""
        scalings = tuple(part.default_scaling for part in self._described())
        return resolve("scaling", "per_column", Part, scalings=scalings, columns=self.columns)

    @property
    def density(self) -> bool:  # type: ignore[override]
        """Whether every column has a density."""
        return all(part.density for part in self._described())

    @property
    def transforms_input(self) -> bool:  # type: ignore[override]
        """Whether any part transforms its features for the encoder."""
        return any(part.transforms_input for part in self._described())

    @property
    def starts_linear(self) -> bool:  # type: ignore[override]
        """Whether most features are of parts that can start from a linear model."""
        return 2 * len(self._linear()) > sum(map(len, self.columns))

    def linear_columns(self, n_features: int) -> list[int]:
        """Return the features of the parts that can start from a linear model if they are most, in ascending order."""
        linear = self._linear()
        return sorted(linear + self.binary_columns(n_features)) if 2 * len(linear) > n_features else []

    def _linear(self) -> list[int]:
        pairs = zip(self._described(), self.columns, strict=True)
        return [column for part, group in pairs if part.starts_linear for column in group]

    def binary_columns(self, n_features: int) -> list[int]:  # noqa: ARG002
        """Return the features of binary parts."""
        pairs = zip(self._described(), self.columns, strict=True)
        return [column for part, group in pairs if part.binary for column in group]

    def linear_outputs(self, loadings: Tensor, mean: Tensor, noise_variance: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight and bias of a linear decoder; features of other parts have their means, whatever z is."""
        weights, biases, linear = [], [], self.linear_columns(len(mean))
        for part, group in zip(self._members, self.columns, strict=True):
            own = list(group)
            if own[0] in linear:
                weight, bias = part.linear_outputs(loadings[own], mean[own], noise_variance[own])
            else:
                bias = part.initial_output(mean[own])
                weight = loadings.new_zeros(len(bias), loadings.shape[1])
            weights.append(weight)
            biases.append(bias)
        return torch.cat(weights), torch.cat(biases)

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Set the hyperparameters of each part from its columns, and store them in ``parts``."""
        self.members = nn.ModuleList(self._described(x.shape[-1]))
        for part, columns in zip(self._members, self.columns, strict=True):
            part.set_from_data(x[..., list(columns)], weight)
        self.parts = tuple(part.clone() for part in self._members)

    def build(self, n_features: int) -> None:
        """Build each part for its columns.

        Raises
        ------
        ValueError
            If a column is in no group, or in two.
        """
        super().build(n_features)
        described = self._described(n_features)
        if "members" not in self._modules:  # otherwise set_from_data made them
            self.members = nn.ModuleList(described)
        for part, columns in zip(self._members, self.columns, strict=True):
            part.build(len(columns))
        order = torch.tensor([column for columns in self.columns for column in columns])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", order.argsort(), persistent=False)

    @property
    def _members(self) -> list[Likelihood]:
        return cast("list[Likelihood]", list(self.members))

    def tensor_shapes(self, n_features: int) -> Iterator[TensorShape]:
        """Yield the tensors of each part."""
        for i, (part, n_columns) in enumerate(self._sized(n_features)):
            yield from within(f"members.{i}", part.tensor_shapes(n_columns))

    def count_outputs(self, n_features: int) -> int:
        """Return the number of decoder outputs: the sum of those of the parts."""
        return sum(part.count_outputs(n_columns) for part, n_columns in self._sized(n_features))

    @property
    def n_outputs(self) -> int:
        """Number of decoder outputs: the sum of those of the parts."""
        return sum(part.n_outputs for part in self._members)

    def count_inputs(self, n_features: int) -> int:
        """Return the number of the encoder's inputs: the sum of those of the parts."""
        return sum(part.count_inputs(n_columns) for part, n_columns in self._sized(n_features))

    @property
    def n_inputs(self) -> int:
        """Number of the encoder's inputs: the sum of those of the parts."""
        return sum(part.n_inputs for part in self._members)

    def input_columns(self) -> Tensor:
        """Return the feature of each of the encoder's inputs: the features in order, or, if some have more, by part."""
        if self.n_inputs == self.n_features:
            return super().input_columns()
        pairs = zip(self._members, self.columns, strict=True)
        return torch.cat([torch.tensor(columns)[part.input_columns()] for part, columns in pairs])

    # ---- every method calls the same method of each part on its group of columns ------------------------------------

    def _outputs(self, h: Tensor) -> list[tuple[Likelihood, Tensor]]:
        """Return the pairs of parts and their decoder outputs."""
        parts = self._members
        return list(zip(parts, h.split([part.n_outputs for part in parts], dim=-1), strict=True))

    def _split(self, x: Tensor) -> list[Tensor]:
        """Return the columns of `x` (..., D), group by group."""
        return list(x.index_select(-1, self.get_buffer("order")).split([len(group) for group in self.columns], dim=-1))

    def _join(self, groups: Sequence[Tensor]) -> Tensor:
        """Undo :meth:`_split`."""
        return torch.cat(list(groups), -1).index_select(-1, self.get_buffer("place"))

    def density_columns(self) -> Tensor:
        """Return whether each column has a density, bool of shape (D,)."""
        return self._join_flags([part.density_columns() for part in self._members])

    def level_columns(self) -> Tensor:
        """Return whether values of each column number levels, bool of shape (D,)."""
        return self._join_flags([part.level_columns() for part in self._members])

    def centred_columns(self) -> Tensor:
        """Return whether the encoder's input is centred, for each column, bool of shape (D,)."""
        return self._join_flags([part.centred_columns() for part in self._members])

    def _join_flags(self, groups: list[Tensor]) -> Tensor:
        """Return the flags (D,) of all columns, given those of each group, on any device."""
        place = self.get_buffer("place")
        return torch.cat([group.to(place.device) for group in groups])[place]

    def for_column(self, column: int) -> Likelihood:
        """Return the likelihood of one column."""
        return next(part for part, group in zip(self._members, self.columns, strict=True) if column in group)

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return the initial outputs of the parts."""
        return torch.cat([p.initial_output(m) for p, m in zip(self._members, self._split(mean), strict=True)])

    def supports(self, x: Tensor) -> Tensor:
        """Return where `x` lies in the support of its column's part."""
        return self._join([p.supports(v) for p, v in zip(self._members, self._split(x), strict=True)])

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return the encoder's inputs, by the part of each column."""
        if self.n_inputs != self.n_features:
            pairs = zip(self._members, self._split(x), strict=True)
            return torch.cat([part.encoder_input(columns) for part, columns in pairs], -1)
        return self._each(x, lambda part, columns: part.encoder_input(columns))

    def sample_targets(self, x: Tensor) -> Tensor:
        """Return the samples of a training step, by the part of each column."""
        return self._each(x, lambda part, columns: part.sample_targets(columns))

    def fill_missing(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return `x` with the filler of each feature's part where `mask` is 0."""
        groups = zip(self._members, self._split(x), self._split(mask), strict=True)
        return self._join([part.fill_missing(v, m) for part, v, m in groups])

    def _each(self, x: Tensor, function: Callable[[Likelihood, Tensor], Tensor]) -> Tensor:
        """Return the joined results of `function` on each part and its columns; `x` itself if none is changed."""
        groups = self._split(x)
        made = [function(part, columns) for part, columns in zip(self._members, groups, strict=True)]
        return x if all(a is b for a, b in zip(made, groups, strict=True)) else self._join(made)

    def forward(self, h: Tensor) -> FactorizedDistribution:
        """Return the distribution of all columns, of batch shape (..., D)."""
        return FactorizedDistribution(self, h)

    def marginal(self, h: Tensor, column: int) -> Distribution:
        """Return p(x_d|z) of one feature, from its part."""
        pairs = zip(self._outputs(h), self.columns, strict=True)
        return next(part.marginal(g, group.index(column)) for (part, g), group in pairs if column in group)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D), a density or a probability depending on the column."""
        return self._join([p.log_prob(g, v) for (p, g), v in zip(self._outputs(h), self._split(x), strict=True)])

    def smooth_log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the smooth functions of the parts, (..., D)."""
        return self._join([p.smooth_log_prob(g, v) for (p, g), v in zip(self._outputs(h), self._split(x), strict=True)])

    def mean(self, h: Tensor) -> Tensor:
        """Return the means of the parts, (..., D)."""
        return self._join([part.mean(g) for part, g in self._outputs(h)])

    def mixture_mean(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return the mixture means of the parts, (N, D)."""
        return self._join([part.mixture_mean(g, weight) for part, g in self._outputs(h)])

    def sample(self, h: Tensor) -> Tensor:
        """Draw from each part, (..., D)."""
        return self._join([part.sample(g) for part, g in self._outputs(h)])
