"""The linear model from which training starts: factor analysis, and a mixture of normal distributions of its codes."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus.initialization import MAX_FACTORS, LinearModel, fit_linear_model
from isthmus.model import Model
from isthmus.priors import MixtureOfNormals, Prior

__all__ = ["LinearStart"]

_RIDGE = 1e-6
_MAX_MORE = 16  # units for the features that the linear model leaves out


class LinearStart(NamedTuple):
    """A linear model of the data, in the model's units.

    Attributes
    ----------
    linear : LinearModel
        Factor analysis of the samples, without what the condition explains.
    condition : ndarray of shape (L, C) or None
        What the condition adds to the mean of a sample.
    columns : list of int
        The L features that the linear model is of.
    mean : ndarray of shape (D,)
        Means of all features.
    more : int
        Number of units in addition to the factors, for the other features, if their number is chosen.
    """

    linear: LinearModel
    condition: np.ndarray | None
    columns: list[int]
    mean: np.ndarray
    more: int

    @classmethod
    def fit(
        cls,
        x: Tensor,
        weight: Tensor,
        condition: np.ndarray | None,
        model: Model,
        n_components: int | None,
        seed: int,
        *,
        any_prior: bool,
        full_rank: bool,
    ) -> Self:
        """Fit to samples (N, D), NaN where a cell is missing, with weights (N,) and conditions (N, C)."""
        columns = model.likelihood.linear_columns(x.shape[1])
        shares, effect = weight.numpy().astype(float), None
        mean = x.nanmean(0).nan_to_num().numpy()
        rows = x[:, columns].numpy().astype(float)
        if condition is not None:
            effect = _regress(rows, shares, condition)
            rows = rows - condition @ effect.T
        linear = fit_linear_model(
            rows,
            shares,
            n_components=n_components,
            mixture=any_prior,
            isotropic=getattr(model.likelihood, "scale", None) == "shared",
            seed=seed,
            full_rank=full_rank,
            binary=np.isin(columns, model.likelihood.binary_columns(x.shape[1])),
        )
        more = min(x.shape[1] - len(columns), _MAX_MORE, max(MAX_FACTORS - linear.n_components, 0))
        return cls(linear, effect, columns, mean, more)

    @property
    def n_components(self) -> int:
        """K, if it is chosen."""
        return self.linear.n_components + self.more

    def prior(self, current: Prior) -> Prior:
        """Return the unbuilt prior of the linear model: `current`, or a mixture of normal distributions."""
        mixture = self.linear.mixture
        return current if mixture is None else MixtureOfNormals(len(mixture.weights), covariance="full")

    def apply(self, model: Model, n_components: int) -> None:
        """Set the tensors of a built model with K = `n_components`; units without a factor start at the prior."""
        factors, more = self.linear.factors, n_components - self.linear.n_components
        weight, bias, log_scale = map(_tensor, self.linear.encoder())
        weight = self._of_all(F.pad(weight.T, (0, more))).T
        bias, log_scale = F.pad(bias, (0, more)), F.pad(log_scale, (0, more))
        loadings, mean, noise = map(_tensor, (factors.loadings, factors.mean, factors.noise_variance))
        mean = self._of_all(mean, _tensor(self.mean))
        noise = self._of_all(noise, torch.ones_like(mean))
        loadings = self._of_all(F.pad(loadings, (0, more)))
        mixture = self.linear.mixture
        size = torch.ones_like(bias)
        if model.posterior.has_free_scale or mixture is not None:  # the density is the same in any units of the codes
            size = _relative_lengths(loadings)
            weight, bias, loadings = size[:, None] * weight, size * bias, loadings / size
            log_scale = log_scale if mixture is None else log_scale + size.log()
        effect = None if self.condition is None else self._of_all(_tensor(self.condition))
        model.set_linear((weight, bias, log_scale), (loadings, mean, noise), effect)
        if mixture is not None:
            assert isinstance(model.prior, MixtureOfNormals)
            covariances = torch.eye(n_components).repeat(len(mixture.weights), 1, 1).double()
            k = self.linear.n_components
            covariances[:, :k, :k] = torch.from_numpy(mixture.covariances)
            means = F.pad(_tensor(mixture.means), (0, more))
            model.prior.set_mixture(_tensor(mixture.weights), means * size, covariances * torch.outer(size, size))

    def _of_all(self, values: Tensor, others: Tensor | None = None) -> Tensor:
        """Return values (D, ...) of all features, those of the linear model given; 0, or `others`, elsewhere."""
        whole = values.new_zeros(len(self.mean), *values.shape[1:]) if others is None else others.clone()
        whole[self.columns] = values
        return whole


def _relative_lengths(loadings: Tensor) -> Tensor:
    """Return the lengths of the columns (D, K), divided by their root mean square.

    Units that are multiplied by them vary as PCA's scores do, so that distances between codes are about as large as
    those between samples. With unit variances, directions in which samples hardly differ would count as much as others.
    """
    length = loadings.norm(dim=0)
    return torch.where(length > 0, length / length.square().mean().sqrt(), 1.0)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()


def _regress(x: np.ndarray, weight: np.ndarray, condition: np.ndarray) -> np.ndarray:
    """Return the coefficients (D, C) of a regression of each feature on the condition, over its observed cells."""
    seen = ~np.isnan(x)
    design = np.column_stack([condition, np.ones(len(condition))])
    effects = []
    for column, own in zip(x.T, seen.T, strict=True):
        scaled = design[own] * weight[own, None]
        normal = scaled.T @ design[own] + _RIDGE * weight.sum() * np.eye(design.shape[1])
        effects.append(np.linalg.solve(normal, scaled.T @ column[own])[:-1])
    return np.stack(effects)
