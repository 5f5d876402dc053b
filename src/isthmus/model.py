"""Model: the arrows q(z|x), p(x|z) and p(z), of parts that were described before and are built here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from isthmus._distributions import LatentDistribution
from isthmus._part import Part
from isthmus.likelihoods import Likelihood
from isthmus.networks import Network, Sizes
from isthmus.posteriors import Posterior
from isthmus.priors import Prior
from isthmus.scaling import Scaling

__all__ = ["Model"]

_N_FILLS = 5  # times that missing cells are filled before encoding; more hardly change the result


class Model(nn.Module):
    """Five parts joined: scaling, network, posterior, likelihood, prior.

    Every tensor here is in the model's units, that is after ``scaling``; only :meth:`log_det` knows the data's.

    Parameters
    ----------
    network, posterior, likelihood, prior, scaling : Part
        Descriptions of the parts; they become this model's and are built by :meth:`build`.
    """

    network: Network
    posterior: Posterior
    likelihood: Likelihood
    prior: Prior
    scaling: Scaling
    centre: Tensor | None

    def __init__(
        self,
        *,
        network: Network,
        posterior: Posterior,
        likelihood: Likelihood,
        prior: Prior,
        scaling: Scaling,
    ) -> None:
        super().__init__()
        self.network = network
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self.scaling = scaling

    def parts(self) -> dict[str, Part]:
        """Return the parts by the name of the hole that each fills."""
        return {name: part for name, part in self.named_children() if isinstance(part, Part)}

    def build(self, n_features: int, n_components: int, n_conditions: int = 0, *, masked: bool = False) -> None:
        """Make all tensors for D = `n_features`, K = `n_components` and C = `n_conditions`.

        With `masked`, the encoder sees beside each cell whether it was observed.

        The scaling is built only where it was not before: it may have been measured already.
        """
        n_components = int(n_components)  # torch takes no numpy.int64 as a size
        if "shift" not in self.scaling._buffers:
            self.scaling.build(n_features)
        self.posterior.build(n_components)
        self.likelihood.build(n_features)
        self.prior.build(n_components, n_features, n_conditions)
        centred = bool(self.likelihood.centred_columns().any())
        self.register_buffer("centre", torch.zeros(n_features) if centred else None)
        sizes = Sizes(
            n_features, n_components, self.posterior.n_outputs, self.likelihood.n_outputs, n_conditions, masked
        )
        self.network.build(sizes)

    @property
    def numbers_per_row(self) -> int:
        """The most numbers that a tensor inside the built model holds for one row and one draw of its code."""
        sizes = self.network.sizes
        outputs = sizes.n_features, sizes.n_encoder_outputs, sizes.n_decoder_outputs
        return max(*outputs, *(part.numbers_per_row for part in self.parts().values()))

    def init_from_mean(self, mean: Tensor) -> None:
        """Set what training starts from, for columns of mean `mean` (D,) in model units.

        The decoder's last bias gives that mean, and the encoder sees columns less it where the likelihood says so.
        """
        if self.centre is not None:
            self.centre.copy_(torch.where(self.likelihood.centred_columns().to(mean.device), mean, 0.0))
        bias = self.network.output_bias
        if bias is not None:
            with torch.no_grad():
                bias.copy_(self.likelihood.initial_output(mean.to(bias)))

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return what the encoder sees of rows (..., D)."""
        seen = self.likelihood.encoder_input(x)
        return seen if self.centre is None else seen - self.centre

    def q(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> LatentDistribution:
        """Return q(z|x, c) for rows (..., D), of which the encoder sees the cells where `mask` is 1."""
        seen = self.encoder_input(x if mask is None else self.likelihood.fill_missing(x, mask))
        seen = seen if mask is None else seen.masked_fill(mask == 0, 0.0)
        # While training the network may compute in bf16; distributions do not.
        return self.posterior(self.network.encode(*self._cast(seen, c, mask)).to(x.dtype))

    def p_z(self, c: Tensor | None = None) -> Distribution:
        """Return p(z), or p(z|c) where the prior sees the condition."""
        return self.prior(c, self.q)

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the likelihood's parameters (..., n_outputs) for codes (..., K)."""
        seen, given = self._cast(z, c)
        return self.network.decode(seen, given).to(z.dtype)

    def _cast(self, x: Tensor, *more: Tensor | None) -> list[Any]:
        """Return tensors in the network's number format."""
        dtype = self.network.dtype
        return [tensor if tensor is None else tensor.to(dtype) for tensor in (x, *more)]

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> LatentDistribution:
        """Return q(z|x, c) for samples (N, D), of which the cells where `mask` is 0 are missing.

        An encoder that was trained with missing cells sees the mask. Any other encoder needs complete samples: it is
        applied to the sample with the decoder's guesses filled in (:meth:`filled`).

        Parameters
        ----------
        x : Tensor of shape (N, D)
            Samples in the model's units, finite also where a cell is missing.
        c : Tensor of shape (N, C), optional
            Conditions.
        mask : Tensor of shape (N, D), optional
            1 where a cell was observed, 0 where it is missing.
        """
        if mask is None or self.network.sizes.masked:
            return self.q(x, c, mask)
        return self.q(self.filled(x.masked_fill(mask == 0, 0.0), c, mask, _N_FILLS), c)

    def filled(self, x: Tensor, c: Tensor | None, mask: Tensor, steps: int) -> Tensor:
        """Return rows (N, D) with the decoder's guess of every missing cell, after so many steps of guessing.

        Each step applies the model to the row with its last guess filled in. A row whose steps grow runs away from the
        data, and stays where it was.
        """
        last: Tensor | None = None
        for _ in range(steps):
            q = self.q(x, c, mask if self.network.sizes.masked else None)
            guess = self.likelihood.mean(self.decode(q.mean, c))
            step = (guess - x).square().masked_fill(mask == 1, 0.0).sum(-1, keepdim=True)  # of each row alone
            moves = torch.ones_like(step) if last is None else (step < last).to(step)
            last = torch.where(moves == 1, step, 0.0)
            x = torch.where((mask == 1) | (moves == 0), x, guess)
        return x

    def log_likelihood(self, z: Tensor, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Return log p(x|z, c) summed over (observed) columns, in nats of the model's units: (S, N) for (S, N, K)."""
        return self.likelihood.row_log_prob(self.decode(z, c), x, mask)

    def log_joint_ratio(
        self,
        q: LatentDistribution,
        z: Tensor,
        x: Tensor,
        c: Tensor | None = None,
        mask: Tensor | None = None,
        h: Tensor | None = None,
    ) -> Tensor:
        """Return log p(x|z) + log p(z) - log q(z|x), the log importance weights (S, N) of codes (S, N, K).

        `h` is what :meth:`decode` gave for the codes, where that is known.
        """
        log_px = self.likelihood.row_log_prob(self.decode(z, c) if h is None else h, x, mask)
        return log_px + self.p_z(c).log_prob(z) - q.log_prob(z)

    def log_det(self) -> Tensor:
        """Return what each column's log-density gains when given in the data's units, (D,); 0 for probabilities."""
        log_det = self.scaling.log_det()
        return torch.where(self.likelihood.density_columns().to(log_det.device), log_det, 0.0)

    def sample(self, n: int, c: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        """Draw n rows from p(x) in the model's units, (n, D), from torch's default generator; into `out`, if given."""
        prior = self.p_z(c)
        z = prior.sample(() if prior.batch_shape else (n,))  # a prior that sees c has one density a row
        h = self.decode(z, c)
        return self.likelihood.sample(h) if out is None else self.likelihood.sample_into(out, h)
