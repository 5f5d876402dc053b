"""The mixed likelihood: a sum over columns of different kinds, the basis of tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn

from isthmus._part import Part, resolve
from isthmus.likelihoods._base import Likelihood
from isthmus.likelihoods._factorized import FactorizedDistribution

__all__ = ["Mixed"]


@dataclass(eq=False, repr=False)
class Mixed(Likelihood):
    r"""p(x|z) = prod_g p_g(x_{columns of g}|z): a likelihood for each group of columns.

    .. math:: \log p(x|z) = \sum_g \sum_{d \in g} \log p_g(x_d|z)

    Parameters
    ----------
    parts : tuple of str or Likelihood
        The likelihood of each group, by name ("gaussian") or as a part (``Gaussian(scale="feature")``).
    columns : tuple of tuple of int
        The columns of each group; together they name every column once. :meth:`by_column` writes both from one
        likelihood a column.

    Notes
    -----
    Every group is scaled as its likelihood alone would be, and only densities gain the log-determinant: log p(x) adds
    log-densities (of the data's own units) and log-probabilities, and is compared only with another model of the same
    columns of the same kinds.

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

    support_text = "that its columns' parts take"

    @classmethod
    def by_column(cls, likelihoods: Sequence[str | Likelihood]) -> Self:
        """Return the mixed likelihood of one likelihood a column.

        Columns of one name are one group, and so are columns of one object: what it learns for all columns
        ("shared") they share.

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
        """Return a fresh part for each group, after checking that the groups are of `n_features` columns."""
        named = sorted(column for group in self.columns for column in group)
        width = len(named) if n_features is None else n_features
        if len(self.parts) != len(self.columns) or not all(self.columns) or named != list(range(width)):
            raise ValueError(
                f"{self!r}: columns must have one group for each of parts, and name each of the {width} columns (0 to "
                f"{width - 1}) once."
            )
        return [resolve("likelihoods", part, Likelihood) for part in self.parts]

    @property
    def default_scaling(self) -> Part:  # type: ignore[override]  # a part's depends on its parameters
        """Each group's own, by the scaling "per_column"."""
        scalings = tuple(part.default_scaling for part in self._described())
        return resolve("scaling", "per_column", Part, scalings=scalings, columns=self.columns)

    @property
    def density(self) -> bool:  # type: ignore[override]
        """Whether every column has a density."""
        return all(part.density for part in self._described())

    @property
    def transforms_input(self) -> bool:  # type: ignore[override]
        """Whether any part transforms its features for the encoder."""
        return any(part.transforms_input for part in self._members)

    def set_from_data(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Let each part see its columns, and keep what it read off them."""
        self.members = nn.ModuleList(self._described(x.shape[-1]))
        for part, columns in zip(self._members, self.columns, strict=True):
            part.set_from_data(x[..., list(columns)], weight)
        self.parts = tuple(part.clone() for part in self._members)

    def build(self, n_features: int) -> None:
        """Build each part for its columns.

        Raises
        ------
        ValueError
            If the groups do not name every column once.
        """
        super().build(n_features)
        described = self._described(n_features)
        if "members" not in self._modules:  # else they have seen the training rows
            self.members = nn.ModuleList(described)
        for part, columns in zip(self._members, self.columns, strict=True):
            part.build(len(columns))
        order = torch.tensor([column for columns in self.columns for column in columns])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("place", order.argsort(), persistent=False)

    @property
    def _members(self) -> list[Likelihood]:
        return cast("list[Likelihood]", list(self.members))

    @property
    def n_outputs(self) -> int:
        """The sum of the parts' numbers."""
        return sum(part.n_outputs for part in self._members)

    # ---- every method is its parts', group by group -----------------------------------------------------------------

    def _outputs(self, h: Tensor) -> list[tuple[Likelihood, Tensor]]:
        """Return each part with its decoder outputs."""
        parts = self._members
        return list(zip(parts, h.split([part.n_outputs for part in parts], dim=-1), strict=True))

    def _apart(self, x: Tensor) -> list[Tensor]:
        """Return the columns (..., D) group by group."""
        return list(x.index_select(-1, self.get_buffer("order")).split([len(group) for group in self.columns], dim=-1))

    def _joined(self, groups: Sequence[Tensor]) -> Tensor:
        """Undo :meth:`_apart`."""
        return torch.cat(list(groups), -1).index_select(-1, self.get_buffer("place"))

    def density_columns(self) -> Tensor:
        """Return whether each column has a density, bool of shape (D,)."""
        return self._told([part.density_columns() for part in self._members])

    def centred_columns(self) -> Tensor:
        """Return whether the encoder sees each column less its mean, bool of shape (D,)."""
        return self._told([part.centred_columns() for part in self._members])

    def _told(self, groups: list[Tensor]) -> Tensor:
        """Return what each part tells of its columns, (D,)."""
        place = self.get_buffer("place")
        return torch.cat([group.to(place.device) for group in groups])[place]

    def for_column(self, column: int) -> Likelihood:
        """Return the part of a column."""
        return next(part for part, group in zip(self._members, self.columns, strict=True) if column in group)

    def initial_output(self, mean: Tensor) -> Tensor:
        """Return the parts' outputs to start from."""
        return torch.cat([p.initial_output(m) for p, m in zip(self._members, self._apart(mean), strict=True)])

    def supports(self, x: Tensor) -> Tensor:
        """Return where each column's part supports x."""
        return self._joined([p.supports(v) for p, v in zip(self._members, self._apart(x), strict=True)])

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return what each column's part shows the encoder."""
        return self._each(x, lambda part, columns: part.encoder_input(columns))

    def sample_targets(self, x: Tensor) -> Tensor:
        """Return what each column's part takes x for."""
        return self._each(x, lambda part, columns: part.sample_targets(columns))

    def fill_missing(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return `x` with the filler of each feature's part where `mask` is 0."""
        groups = zip(self._members, self._apart(x), self._apart(mask), strict=True)
        return self._joined([part.fill_missing(v, m) for part, v, m in groups])

    def _each(self, x: Tensor, function: Callable[[Likelihood, Tensor], Tensor]) -> Tensor:
        """Return what `function` makes of each part's columns; `x` itself, where it changes none."""
        groups = self._apart(x)
        made = [function(part, columns) for part, columns in zip(self._members, groups, strict=True)]
        return x if all(a is b for a, b in zip(made, groups, strict=True)) else self._joined(made)

    def forward(self, h: Tensor) -> FactorizedDistribution:
        """Return the distribution of all columns, of batch shape (..., D)."""
        return FactorizedDistribution(self, h)

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x_d|z), (..., D), a density or a probability by the column."""
        return self._joined([p.log_prob(g, v) for (p, g), v in zip(self._outputs(h), self._apart(x), strict=True)])

    def mean(self, h: Tensor) -> Tensor:
        """Return each part's mean, (..., D)."""
        return self._joined([part.mean(g) for part, g in self._outputs(h)])

    def mixture_mean(self, h: Tensor, weight: Tensor) -> Tensor:
        """Return each part's average under the mixture, (N, D)."""
        return self._joined([part.mixture_mean(g, weight) for part, g in self._outputs(h)])

    def sample(self, h: Tensor) -> Tensor:
        """Draw from each part, (..., D)."""
        return self._joined([part.sample(g) for part, g in self._outputs(h)])
