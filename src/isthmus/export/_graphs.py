"""Encoder, decoder and scorer as torch modules of float64 inputs and outputs."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.export._columns import ColumnsModule, PlainColumns, TableColumns
from isthmus.kl import kl_divergence
from isthmus.model import Model

__all__ = ["Decoder", "Encoder", "Scorer", "make_graphs"]


class _Labels(nn.Module):
    """Codes of labels (N, 1) as one-hot vectors."""

    def __init__(self, n_labels: int) -> None:
        super().__init__()
        self.n_labels = n_labels

    def forward(self, y: Tensor) -> Tensor:
        return (y == torch.arange(self.n_labels)).to(y)


class _Standardised(nn.Module):
    """Numbers (N, C), standardised."""

    mean: Tensor
    scale: Tensor

    def __init__(self, condition: Any) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(condition.mean, dtype=torch.float64))
        self.register_buffer("scale", torch.as_tensor(condition.scale, dtype=torch.float64))

    def forward(self, y: Tensor) -> Tensor:
        return (y - self.mean) / self.scale


class _TableOfConditions(nn.Module):
    """Columns of a table: categories as one-hot vectors, numbers standardised."""

    def __init__(self, condition: Any) -> None:
        super().__init__()
        self.columns, self.levels = TableColumns(condition.codec), condition.levels
        self.standardised = _Standardised(condition)

    def forward(self, y: Tensor) -> Tensor:
        matrix, observed, _ = self.columns.encode(y)
        numbers = torch.where(observed, self.standardised(matrix), 0.0)
        parts = [
            (matrix[:, i : i + 1] == torch.arange(n)).to(y) if n else numbers[:, i : i + 1]
            for i, n in enumerate(self.levels)
        ]
        return torch.cat(parts, 1)


def _condition_of(estimator: Any) -> nn.Module | None:
    if not estimator.conditional:
        return None
    condition = estimator._condition
    if hasattr(condition, "codec"):
        return _TableOfConditions(condition)
    return _Labels(len(condition.classes)) if hasattr(condition, "classes") else _Standardised(condition)


class _Graph(nn.Module):
    """Base of the graphs.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted.
    dtype : torch.dtype
        What the network computes in.
    """

    def __init__(self, estimator: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.model: Model = copy.deepcopy(estimator.model_).to(dtype=dtype).eval()
        self.dtype = dtype
        codec = estimator._codec
        self.columns: ColumnsModule = PlainColumns() if codec is None else TableColumns(codec)
        self.condition = _condition_of(estimator)
        self.masked, self.has_constant = self.model.network.sizes.masked, self.model.scaling.has_constant
        blank = torch.zeros(1, self.model.network.sizes.n_features)
        self.model.likelihood.fill_missing(blank, blank)  # which finds its fillers, once

    def _condition(self, y: Tensor | None) -> Tensor | None:
        return None if self.condition is None or y is None else self.condition(y).to(self.dtype)

    def _samples(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return samples in the model's units, where they are observed, what log p gains, and the encoder's mask."""
        matrix, observed, gain = self.columns.encode(x)
        scaling = self.model.scaling
        scaled = torch.where(observed, scaling(matrix), 0.0)
        if self.has_constant:
            gain = gain + scaling.constant_log_prob(scaled)
            scaled = torch.where(scaling.constant.isinf(), scaled, scaling(scaling.constant))
        gain = torch.where(observed, gain + self.model.log_det(), 0.0)
        mask = observed.to(self.dtype) if self.masked else None
        return scaled.to(self.dtype), observed, gain.sum(-1), mask

    def _known(self, result: Tensor, observed: Tensor) -> Tensor:
        """Return a result (N,) or (N, K) in float64, NaN where cells miss that the encoder was not trained without."""
        result = result.double()
        if self.masked:
            return result
        whole = observed.all(-1)
        return torch.where(whole if result.ndim == 1 else whole[:, None], result, torch.nan)


class Encoder(_Graph):
    """The code of each sample: for the VAE family the mean of q(z|x)."""

    outputs = ("code",)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return codes (N, K) of an input (N, F)."""
        samples, observed, _, mask = self._samples(x)
        return self._known(self.model.q(samples, self._condition(y), mask).mean, observed)


class Decoder(_Graph):
    """The mean of p(x|z) in the data's units, for categories the number of the most probable level."""

    outputs = ("reconstruction",)

    def forward(self, code: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the means (N, F) of codes (N, K)."""
        h = self.model.decode(code.to(self.dtype), self._condition(y))
        scaling = self.model.scaling
        matrix = scaling.inverse(self.model.likelihood.mean(h).double())
        if self.has_constant:
            matrix = torch.where(scaling.constant.isinf(), matrix, scaling.constant)
        return self.columns.decode(matrix)


class Scorer(_Graph):
    r"""log p(x) by importance sampling with given noise, and what it is made of.

    .. math:: \log \frac1S \sum_s w_s, \qquad w_s = \frac{p(x|z_s)\,p(z_s)}{q(z_s|x)}
    """

    outputs = ("log_p", "elbo", "effective_sample_size")

    def forward(self, x: Tensor, noise: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return log p(x), the ELBO and effective sample sizes, (N,), for an input (N, F) and noise (S, N, K)."""
        samples, observed, gain, mask = self._samples(x)
        c = self._condition(y)
        q, prior = self.model.q(samples, c, mask), self.model.p_z(c)
        z = q.from_noise(noise.to(self.dtype))
        log_px = self.model.log_likelihood(z, samples, c, mask)  # (S, N)
        log_w = (log_px + prior.log_prob(z) - q.log_prob(z)).double()
        total = torch.logsumexp(log_w, 0)
        effective = (2 * total - torch.logsumexp(2 * log_w, 0)).exp()
        n_draws = torch.ones_like(log_w).sum(0)
        bound = log_px.double().mean(0) - kl_divergence(q, prior, z).double()
        found = (total - n_draws.log() + gain, bound + gain, effective)
        return tuple(self._known(values, observed) for values in found)  # type: ignore[return-value]


def make_graphs(estimator: Any, dtype: torch.dtype) -> dict[str, nn.Module]:
    """Return the graphs of a fitted estimator by name: encoder, decoder, and for the VAE family scorer."""
    made: dict[str, nn.Module] = {"encoder": Encoder(estimator, dtype), "decoder": Decoder(estimator, dtype)}
    return made | ({"scorer": Scorer(estimator, dtype)} if estimator.has_density else {})
