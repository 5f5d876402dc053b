r"""The training loss and its objectives.

.. math:: L(x) = E_{\tilde x \sim c(\cdot|x)}\, E_{z \sim q(\cdot|\tilde x)}\,[-\log p(x|z)] + \sum_i w_i R_i(x, q, z)

in nats per sample: a corruption c, a model (q, p), penalties R_i and their weights.
"""

from __future__ import annotations

import functools
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from isthmus._batch import Batch
from isthmus._distributions import LatentDistribution
from isthmus._part import Part
from isthmus.corruptions import Corruption
from isthmus.model import Model
from isthmus.penalties import EncodedBatch, Penalty

__all__ = ["ImportanceWeighted", "Objective", "PenalizedLikelihood", "Terms", "TrainingLoss"]


class Terms(NamedTuple):
    """The terms of the loss for each sample, and their weights.

    Attributes
    ----------
    values : dict of str to Tensor of shape (N,)
        Unweighted terms, in nats, summed over features.
    weights : dict of str to (float or Tensor of shape ())
        Weights, such as beta.
    """

    values: dict[str, Tensor]
    weights: dict[str, float | Tensor]

    def total(self) -> Tensor:
        """Return the weighted sum, (N,): the only place where weights are applied."""
        ones = [name for name, weight in self.weights.items() if not isinstance(weight, Tensor) and weight == 1]
        weighted = (value if name in ones else self.weights[name] * value for name, value in self.values.items())
        return functools.reduce(torch.add, weighted)


class Objective(Part):
    """Base of the objectives: the terms of the loss other than penalties.

    Attributes
    ----------
    n_draws : int
        S, draws of the code per sample.
    includes_kl : bool
        Whether the bound contains the divergence from the prior, so that no KL penalty is added.
    free_bits : float
        ``free_bits`` of the KL penalty that is added.
    """

    n_draws: int
    includes_kl = False
    free_bits: float = 0.0

    @abstractmethod
    def forward(self, model: Model, batch: EncodedBatch, x: Tensor) -> dict[str, Tensor]:
        """Return the terms of the objective by name, each (N,) in nats.

        Parameters
        ----------
        model : Model
            The model.
        batch : EncodedBatch
            The batch with its codes.
        x : Tensor of shape (N, D)
            Uncorrupted samples, in the model's units.
        """


@dataclass(eq=False, repr=False)
class PenalizedLikelihood(Objective):
    r"""The expected negative log likelihood, to which penalties are added; with ``KL`` it is the negative ELBO.

    .. math:: E_{q(z|\tilde x)}[-\log p(x|z)] \approx -\frac1S \sum_s \log p(x|z_s), \qquad z_s \sim q(z|\tilde x)

    Parameters
    ----------
    n_draws : int, default=1
        S, draws from q for the expectation.
    free_bits : float, default=0.0
        Nats that the mean KL divergence of each latent unit may have without penalty (see
        :class:`isthmus.penalties.KL`).

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes, equation 7; Kingma et al. (2016), Improved Variational
    Inference with Inverse Autoregressive Flow, appendix C.8, for free bits.

    Examples
    --------
    >>> from isthmus import VAE
    >>> VAE(objective=PenalizedLikelihood(n_draws=5)).objective
    PenalizedLikelihood(n_draws=5)
    """

    n_draws: int = 1
    free_bits: float = 0.0

    def forward(self, model: Model, batch: EncodedBatch, x: Tensor) -> dict[str, Tensor]:
        """Return the term "reconstruction"."""
        z = batch.z.squeeze(0)  # a single draw has no dimension of its own, which saves time in small networks
        log_px = model.log_likelihood(z, x, batch.c, batch.mask)  # (S, N), or (N,)
        return {"reconstruction": -(log_px if len(batch.z) == 1 else log_px.mean(0))}


@dataclass(eq=False, repr=False)
class ImportanceWeighted(Objective):
    r"""The importance-weighted (IWAE) bound on the log likelihood.

    .. math:: -\log \frac1S \sum_s \frac{p(x|z_s)\,p(z_s)}{q(z_s|x)}, \qquad z_s \sim q(z|x)

    Parameters
    ----------
    n_draws : int, default=5
        S. With 1 the bound is the ELBO; it rises with S and approaches log p(x). ``beta`` has no effect.

    References
    ----------
    Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, equation 8.

    Examples
    --------
    >>> from isthmus import VAE
    >>> VAE(objective=ImportanceWeighted(n_draws=20)).objective
    ImportanceWeighted(n_draws=20)
    """

    n_draws: int = 5

    includes_kl = True

    def forward(self, model: Model, batch: EncodedBatch, x: Tensor) -> dict[str, Tensor]:
        """Return the term "importance_weighted", the negative bound."""
        log_w = model.log_joint_ratio(batch.q, batch.z, x, batch.c, batch.mask)
        return {"importance_weighted": math.log(self.n_draws) - torch.logsumexp(log_w, 0)}


class TrainingLoss(nn.Module):
    """The loss that training minimises: maps a batch to its terms.

    Parameters
    ----------
    model : Model
        The model.
    objective : Objective
        The terms of the loss other than penalties.
    corruption : Corruption
        c(x~|x).
    penalties : sequence of Penalty
        R_i with their weights.
    """

    def __init__(
        self, model: Model, objective: Objective, corruption: Corruption, penalties: Sequence[Penalty] = ()
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.corruption = corruption
        self.penalties = nn.ModuleList(penalties)

    def build(self, sample: Tensor) -> None:
        """Build the corruption, which may look at a sample (n, D) of the data in the model's units.

        Raises
        ------
        ValueError
            If the corruption needs an encoder that sees its mask, and the encoder of the built model does not.
        """
        if self.corruption.input_mask and not self.model.network.sizes.masked:
            raise ValueError(
                f"corruption={self.corruption!r} needs an encoder that sees which cells are masked, and this one was "
                "built without: fit a new estimator, or set warm_start=False."
            )
        self.corruption.build(sample)

    def weights(self, progress: float) -> list[float]:
        """Return the weight of each penalty when the fraction `progress` of the training steps is done."""
        return [penalty.weight_at(progress) for penalty in self._penalties()]

    def forward(self, batch: Batch, weights: Sequence[float | Tensor] | None = None) -> Terms:
        """Return the terms of a batch.

        Parameters
        ----------
        batch : Batch
            Samples in the model's units.
        weights : sequence of (float or Tensor of shape ()), optional
            Weight of each penalty; default: the weights at the end of training.
        """
        x = self.model.likelihood.sample_targets(batch.x)
        corrupted, input_mask = self.corruption.corrupt(x)
        if batch.mask is not None:
            corrupted = corrupted.masked_fill(batch.mask == 0, 0.0)
            input_mask = batch.mask if input_mask is None else batch.mask * input_mask
        q: LatentDistribution = self.model.q(corrupted, batch.c, input_mask, batch.weight if self.training else None)
        n_draws = self.objective.n_draws
        z = q.rsample((n_draws,)) if n_draws > 1 else q.rsample().unsqueeze(0)  # (S, N, K)
        encoded = EncodedBatch(self.model, corrupted, q, z, batch.weight, batch.c, batch.mask, input_mask, x)
        values = self.objective(self.model, encoded, x)  # includes the cells that a corruption masked
        named: dict[str, float | Tensor] = dict.fromkeys(values, 1.0)
        for penalty, weight in zip(self._penalties(), self.weights(1.0) if weights is None else weights, strict=True):
            name, number = penalty.name, 1
            while name in values:
                number += 1
                name = f"{penalty.name}_{number}"
            values[name], named[name] = penalty(encoded), weight
        return Terms(values, named)

    def _penalties(self) -> list[Penalty]:
        return cast("list[Penalty]", list(self.penalties))  # a ModuleList does not keep the type
