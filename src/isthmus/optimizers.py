"""Optimizers: how gradients become steps. Their peak learning rate is ``learning_rate`` of the estimator."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus._part import Settings

__all__ = ["Adam", "Optimizer"]


class Optimizer(Settings):
    """Base of the optimizers, which hold the settings of an optimizer; :mod:`isthmus.engine` runs its steps."""


@dataclass(eq=False, repr=False)
class Adam(Optimizer):
    r"""Adam with decoupled weight decay (AdamW).

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
        \theta \leftarrow (1 - \eta\lambda)\theta -
        \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + 10^{-8}}

    for the gradient g of the loss in nats per sample, and the learning rate eta of step t.

    Parameters
    ----------
    betas : tuple of float or "auto", default="auto"
        Decay rates (beta1, beta2) of the running means of the gradient and of its square. "auto" is (0.9, 0.95) if
        ``learning_rate`` is "auto" and training starts from random weights, and otherwise (0.9, 0.999).
    weight_decay : float or "auto", default="auto"
        Decoupled weight decay, lambda. "auto" is 30 / N for N samples, at most 1, if encoder and decoder have skip
        connections, so that the network adds little to these linear maps in small data; and otherwise 0.
    encoder_learning_rate : float, "auto" or None, default="auto"
        Peak learning rate of the encoder; None is that of the estimator. Large steps can collapse the codes: "auto" is
        a quarter of ``learning_rate`` if that is "auto" and training starts from random weights, and otherwise None.
    schedule : {"auto", "one_cycle", "linear", "constant"}, default="auto"
        Learning rate over time: "one_cycle" is a warm-up and a cosine decay, "linear" a warm-up and a linear decay.
        "auto" is "linear" if ``learning_rate`` is "auto" and training starts from random weights, and otherwise
        "one_cycle".
    gradient_clip : float, "auto" or None, default="auto"
        Maximum norm of the gradient of all parameters together, in nats per sample per unit of the parameters; a longer
        gradient is scaled down to it. None does not clip; "auto" is 10 if training starts from factor analysis, 100 if
        the learning rate is "auto", and otherwise None.

    References
    ----------
    Kingma & Ba (2015), Adam: A Method for Stochastic Optimization; Loshchilov & Hutter (2019), Decoupled Weight Decay
    Regularization, algorithm 2; Pascanu et al. (2013), On the Difficulty of Training Recurrent Neural Networks, for
    clipping.

    Examples
    --------
    >>> from isthmus import VAE
    >>> VAE(learning_rate=0.01, optimizer=Adam(betas=(0.9, 0.95), gradient_clip=10.0)).optimizer
    Adam(betas=(0.9, 0.95), gradient_clip=10.0)
    >>> VAE().set_params(optimizer__weight_decay=0.01).optimizer
    Adam(weight_decay=0.01)
    """

    betas: tuple[float, float] | str = "auto"
    weight_decay: float | str = "auto"
    encoder_learning_rate: float | str | None = "auto"
    schedule: str = "auto"
    gradient_clip: float | str | None = "auto"
