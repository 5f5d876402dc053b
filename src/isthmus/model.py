"""The model: q(z|x), p(x|z) and p(z), composed of five parts.

Shapes in this package: N samples, D features, K units of the code, S draws of codes, C columns of the condition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus._activations import choose_activation
from isthmus._distributions import LatentDistribution
from isthmus._part import Part
from isthmus._tensor_shapes import AtLeast, TensorShape, is_own, within
from isthmus.likelihoods import Likelihood
from isthmus.networks import Network, Sizes
from isthmus.posteriors import Posterior
from isthmus.priors import Prior
from isthmus.scaling import Scaling

__all__ = ["Model"]

_N_FILLS = 5  # how often missing cells are filled in before encoding; more hardly changes the result


class Model(nn.Module):
    r"""An autoencoder: q(z|x, c), p(x|z, c) and p(z|c), composed of a network, distributions and a scaling.

    .. math:: p(x) = \int p(x|z)\,p(z)\,dz, \qquad q(z|x) \approx p(z|x)

    All tensors are in the model's units, after ``scaling``; :meth:`log_det` converts log densities to the data's units.

    Parameters
    ----------
    network : Network
        Encoder and decoder.
    posterior : Posterior
        Maps the encoder's outputs to q(z|x).
    likelihood : Likelihood
        Maps the decoder's outputs to p(x|z).
    prior : Prior
        p(z).
    scaling : Scaling
        Maps data to the model's units and back.

    Notes
    -----
    The parts hold only hyperparameters until :meth:`build` makes their tensors; from then on they belong to this model.

    References
    ----------
    Kingma & Welling (2019), An Introduction to Variational Autoencoders.

    Examples
    --------
    >>> from isthmus.likelihoods import Gaussian
    >>> from isthmus.networks import MLP
    >>> from isthmus.posteriors import DiagonalNormal
    >>> from isthmus.priors import StandardNormal
    >>> from isthmus.scaling import NoScaling
    >>> model = Model(
    ...     network=MLP((8,)),
    ...     posterior=DiagonalNormal(),
    ...     likelihood=Gaussian(),
    ...     prior=StandardNormal(),
    ...     scaling=NoScaling(),
    ... )
    >>> model.build(n_features=4, n_components=2)
    >>> x = torch.zeros(3, 4)
    >>> z = model.q(x).rsample((5,))
    >>> z.shape, model.log_likelihood(z, x).shape, model.sample(7).shape
    (torch.Size([5, 3, 2]), torch.Size([5, 3]), torch.Size([7, 4]))
    """

    network: Network
    posterior: Posterior
    likelihood: Likelihood
    prior: Prior
    scaling: Scaling
    centre: Tensor | None
    input_columns: Tensor | None

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
        """Return the five parts by name."""
        return {name: part for name, part in self.named_children() if isinstance(part, Part)}

    def build(self, n_features: int, n_components: int, n_conditions: int = 0, *, masked: bool = False) -> None:
        """Make the tensors of all parts; a scaling that is already built keeps its values.

        Parameters
        ----------
        n_features : int
            D.
        n_components : int
            K.
        n_conditions : int, default=0
            C.
        masked : bool, default=False
            Whether the encoder has the mask of observed cells as a further input.
        """
        n_components = int(n_components)  # torch takes no numpy.int64 as a size
        if "shift" not in self.scaling._buffers:
            self.scaling.build(n_features)
        self.posterior.build(n_components)
        self.likelihood.build(n_features)
        self.prior.build(n_components, n_features, n_conditions)
        centred = bool(self.likelihood.centred_columns().any())
        self.register_buffer("centre", torch.zeros(n_features) if centred else None)
        wide = self.likelihood.n_inputs != n_features
        self.register_buffer("input_columns", self.likelihood.input_columns() if wide else None, persistent=False)
        if self.network.get_params(deep=False).get("activation") == "auto":
            self.network.set_params(activation=choose_activation(linear=self.starts_linear))
        n_outputs = self.posterior.n_outputs, self.likelihood.n_outputs
        sizes = Sizes(n_features, n_components, *n_outputs, n_conditions, masked, self.likelihood.n_inputs)
        self.network.build(sizes)

    def tensor_shapes(
        self, n_features: int, n_components: int, n_conditions: int, *, masked: bool = False
    ) -> Iterator[TensorShape]:
        """Yield the tensors that :meth:`build` makes and that are saved, except ``centre``."""
        known = {name: is_own(part) for name, part in self.parts().items()}
        described: dict[str, tuple[Any, tuple[Any, ...]]] = {  # first what limits the numbers of features and units
            "scaling": (self.scaling, (n_features,)),
            "posterior": (self.posterior, (n_components,)),
            "likelihood": (self.likelihood, (n_features,)),
            "prior": (self.prior, (n_components, n_features, n_conditions)),
        }
        if known["posterior"] and known["likelihood"]:
            n_outputs = self.posterior.count_outputs(n_components), self.likelihood.count_outputs(n_features)
            n_inputs = self.likelihood.count_inputs(n_features)
            sizes = Sizes(n_features, n_components, *n_outputs, n_conditions, masked, n_inputs)
            described["network"] = self.network, (sizes,)
        else:
            known["network"] = False
        for name, (part, arguments) in described.items():
            if known[name]:
                yield from within(name, part.tensor_shapes(*arguments))
        yield from ((f"{name}.", AtLeast()) for name, is_known in known.items() if not is_known)

    @property
    def numbers_per_row(self) -> int:
        """The size of the largest tensor inside the built model, per sample and draw of its code."""
        sizes = self.network.sizes
        outputs = sizes.n_features, sizes.n_encoder_outputs, sizes.n_decoder_outputs
        return max(*outputs, *(part.numbers_per_row for part in self.parts().values()))

    def init_from_data(self, x: Tensor, mean: Tensor) -> None:
        """Initialise the prior, the decoder's last bias and the centre of the encoder's inputs.

        Parameters
        ----------
        x : Tensor of shape (n, D)
            A sample of the training data in the model's units.
        mean : Tensor of shape (D,)
            Means of all training data. Only the features in ``likelihood.centred_columns`` are centred for the encoder.
        """
        self.prior.init_from_data(x)
        if self.centre is not None:
            self.centre.copy_(torch.where(self.likelihood.centred_columns().to(mean.device), mean, 0.0))
        bias = self.network.output_bias
        if bias is not None:
            with torch.no_grad():
                bias.copy_(self.likelihood.initial_output(mean.to(bias)))

    @property
    def starts_linear(self) -> bool:
        """Whether :meth:`set_linear` works: if network, posterior and likelihood can be those of a linear model."""
        return self.network.starts_linear and self.posterior.starts_linear and self.likelihood.starts_linear

    @property
    def starts_random(self) -> bool:
        """Whether encoder and decoder start from unrelated random weights."""
        return not self.starts_linear and not self.network.starts_transposed

    def set_linear(
        self,
        encoder: tuple[Tensor, Tensor, Tensor],
        decoder: tuple[Tensor, Tensor, Tensor],
        condition: Tensor | None = None,
    ) -> None:
        """Set the built model to a linear one, from which training starts.

        Parameters
        ----------
        encoder : tuple of Tensor
            Weight (K, D), bias (K,) and log standard deviation (K,) of q(z|x).
        decoder : tuple of Tensor
            Weight (D, K), bias (D,) and noise variance (D,) of p(x|z), in the model's units.
        condition : Tensor of shape (D, C), optional
            What the condition adds to the mean of p(x|z, c).
        """
        weight, bias, log_scale = encoder
        if self.centre is not None:
            bias = bias + weight @ self.centre.to(weight)
        effects = None
        if condition is not None:
            codes = F.pad(-weight @ condition, (0, 0, 0, self.posterior.n_outputs - len(weight)))
            effects = codes, self.likelihood.linear_outputs(condition, *decoder[1:])[0]
        inputs = self.posterior.linear_outputs(self._for_inputs(weight), bias, log_scale)
        self.network.set_linear(inputs, self.likelihood.linear_outputs(*decoder), effects)

    def encoder_input(self, x: Tensor) -> Tensor:
        """Return the encoder's inputs (..., n_inputs) for samples (..., D): by the likelihood, and centred."""
        inputs = self.likelihood.encoder_input(x)
        return inputs if self.centre is None else inputs - self._for_inputs(self.centre)

    def _for_inputs(self, x: Tensor) -> Tensor:
        """Return the value of each encoder input's feature, (..., n_inputs), of values (..., D)."""
        return x if self.input_columns is None else x.index_select(-1, self.input_columns)

    def q(
        self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None, weight: Tensor | None = None
    ) -> LatentDistribution:
        """Return q(z|x, c) for samples (..., D); the encoder gets 0 for cells where `mask` is 0.

        With the sample weights (N,) of a batch to train on, codes may depend on the whole batch.
        """
        inputs = self.encoder_input(x if mask is None else self.likelihood.fill_missing(x, mask))
        inputs = inputs if mask is None else inputs.masked_fill(self._for_inputs(mask) == 0, 0.0)
        dtype = self.network.dtype  # it may compute in bf16 during training; distributions do not
        c, mask = (tensor if tensor is None else tensor.to(dtype) for tensor in (c, mask))
        h = self.network.encode(inputs.to(dtype), c, mask).to(x.dtype)
        return self.posterior(h) if weight is None else self.posterior.of_batch(h, weight)

    def p_z(self, c: Tensor | None = None) -> Distribution:
        """Return p(z), or p(z|c) if the prior depends on the condition."""
        return self.prior(c, self.q)

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the parameters of p(x|z, c), (..., n_outputs), for codes (..., K)."""
        dtype = self.network.dtype
        return self.network.decode(z.to(dtype), c if c is None else c.to(dtype)).to(z.dtype)

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> LatentDistribution:
        """Return q(z|x, c) for samples with missing cells.

        An encoder that was trained with missing cells has the mask as an input. For any other encoder, :meth:`impute`
        fills in the missing cells first.

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
        return self.q(self.impute(x.masked_fill(mask == 0, 0.0), c, mask, _N_FILLS), c)

    def impute(self, x: Tensor, c: Tensor | None, mask: Tensor, n_steps: int) -> Tensor:
        """Return samples (N, D) whose missing cells are filled with reconstructions, iterated `n_steps` times.

        Each step reconstructs the sample with the cells filled in by the step before. A sample stops as soon as its
        steps grow, because they then lead away from the data.
        """
        last = torch.full_like(x[..., :1], math.inf)
        moving = torch.ones_like(last, dtype=torch.bool)
        for _ in range(n_steps):
            q = self.q(x, c, mask if self.network.sizes.masked else None)
            guess = self.likelihood.mean(self.decode(q.mean, c))
            step = (guess - x).square().masked_fill(mask == 1, 0.0).sum(-1, keepdim=True)
            moving = moving & (step < last)
            last = step
            x = torch.where((mask == 0) & moving, guess, x)
        return x

    def log_likelihood(self, z: Tensor, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Return log p(x|z, c) in nats, summed over observed features: (S, N) for codes (S, N, K)."""
        return self.likelihood.row_log_prob(self.decode(z, c), x, mask)

    def log_joint_ratio(
        self,
        q: LatentDistribution,
        z: Tensor,
        x: Tensor,
        c: Tensor | None = None,
        mask: Tensor | None = None,
        h: Tensor | None = None,
        prior: Distribution | None = None,
    ) -> Tensor:
        """Return log p(x|z) + log p(z) - log q(z|x) in nats: the log importance weights (S, N) of codes (S, N, K).

        `h` is the output of :meth:`decode` for these codes, and `prior` is p(z), if they were computed before.
        """
        log_px = self.likelihood.row_log_prob(self.decode(z, c) if h is None else h, x, mask)
        return log_px + (self.p_z(c) if prior is None else prior).log_prob(z) - q.log_prob(z)

    def log_det(self) -> Tensor:
        """Return the log density's change from model to data units for each feature, (D,); 0 for probabilities."""
        log_det = self.scaling.log_det()
        return torch.where(self.likelihood.density_columns().to(log_det.device), log_det, 0.0)

    def sample(self, n: int, c: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        """Draw samples (n, D) from p(x|c) in the model's units with torch's default generator, into `out` if given."""
        prior = self.p_z(c)
        z = prior.sample(() if prior.batch_shape else (n,))  # p(z|c) is one distribution per row of c
        h = self.decode(z, c)
        return self.likelihood.sample(h) if out is None else self.likelihood.sample_into(out, h)
