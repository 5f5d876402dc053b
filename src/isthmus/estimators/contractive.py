"""The contractive autoencoder."""

from __future__ import annotations

import dataclasses

from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import FirstFields, estimator
from isthmus.penalties import Contraction, Penalty

__all__ = ["ContractiveAutoencoder"]


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class ContractiveFields(FirstFields):
    """Base of the contractive autoencoder: the fields that say what it is."""

    contraction: float = 1.0


@estimator
class ContractiveAutoencoder(DeterministicAutoencoder, ContractiveFields):
    r"""Learn codes that change little when the sample does.

    The loss, in nats per sample with h = f(x), is

    .. math:: L(x) = -\log p(x \mid h) + \lambda \sum_i \|\nabla_x h_i\|^2.

    With hidden layers the penalty is estimated by random projections, without bias. Rifai's model, one sigmoid layer
    with tied weights, is ``hidden_layer_sizes=(), code_activation="sigmoid", network=MLP(tied=True)``. There the
    penalty has the closed form :math:`\sum_j (h_j (1 - h_j))^2 \|W_j\|^2`, and the tied weights keep the encoder from
    shrinking while the decoder grows. (If weights are not tied, compare Jacobians in units of the codes' standard
    deviations.)

    Parameters
    ----------
    n_components : int or None, default=None
        Number of latent units, K. If None, it is chosen by held-out samples, at most 32.
    likelihood : str or Likelihood, default="gaussian"
        Distribution p(x|z): "gaussian" for real numbers, "bernoulli" for binary data, "poisson" for counts or
        "categorical" for codes of categories; :mod:`isthmus.likelihoods` lists all. For a table, a dictionary sets the
        likelihoods of columns by name; those of other columns follow from the kinds of the columns.
    contraction : float, default=1.0
        Weight of the penalty, lambda, in nats per unit of the squared Jacobian norm of the scaled data. For one tied
        sigmoid layer start at 10.
    code_activation : str, default="identity"
        Activation of the code, with the same choices as for hidden layers.
    penalties : sequence of (str or Penalty), default=()
        Terms added to the loss: "l1", "kl_sparsity", "contraction", "kl", or objects that set their weights.
    hidden_layer_sizes : int or tuple of int, default=(256, 128)
        Widths of the encoder's hidden layers; the decoder has the same in reverse order. An int is one layer, and ()
        makes encoder and decoder linear. A Network object may have its own.
    network : str or Network, default="mlp"
        Encoder and decoder: "mlp", "conv" (for square images), or an object that sets more, such as
        ``MLP(activation="relu")`` or ``Conv(image_shape=(28, 28))``; see :mod:`isthmus.networks`.
    scaling : str or Scaling, default="auto"
        Scaling of the data inside the model: "standard", "min_max", "none", or "auto", the default of the likelihood.
        Results are in the units of the data, likelihoods too. A :class:`isthmus.tables.TableCodec` says how the columns
        of a table are encoded.
    corruption : str or Corruption, default="none"
        Corruption of the encoder's input during training: "none", "gaussian_noise", "varying_noise", "uniform_noise",
        "masking", "salt_and_pepper", or an object that sets its strength, such as ``Masking(0.5)``.
    max_epochs : int or "auto", default="auto"
        Maximum number of epochs. "auto" is 4,000 steps, fewer for less than 1,000 samples, and at least two epochs.
    batch_size : int or "auto", default="auto"
        Maximum number of samples per training step; "auto" is N / 20, from 32 to 256 (1,024 on a GPU).
    learning_rate : float or "auto", default="auto"
        Peak learning rate of the optimizer; "auto" is larger for fewer steps, between 0.0005 and 0.016.
    optimizer : str or Optimizer, default="adam"
        "adam", or an object that sets decay rates, weight decay, the encoder's learning rate, the schedule of the
        learning rate or gradient clipping, such as ``Adam(weight_decay=0.01)``; see :mod:`isthmus.optimizers`.
    early_stopping : bool, "auto" or EarlyStopping, default="auto"
        Whether to hold out samples, stop when their loss no longer falls, and keep the parameters at which it was
        lowest. :class:`isthmus.training.EarlyStopping` sets how many, and when to stop. "auto" stops early where
        ``max_epochs`` is "auto" too; with at most 2,000 samples it only chooses the number of epochs for all of them.
    random_state : int, RandomState or None, default=None
        Seed of everything random in ``fit``. Pass an int for reproducible results; global generators are never used.
    device : str, default="auto"
        Device of training and inference: "auto" (the first GPU, else the CPU), "cpu", "cuda" or "cuda:1".
    verbose : int, default=0
        1 shows a progress bar on stderr, or one line per epoch if stderr is not a terminal.
    warm_start : bool, default=False
        Whether ``fit`` continues from the parameters of the previous call.
    trainer : Trainer, optional
        How training runs: number format, captured steps, accumulated gradients, callbacks, loggers and checkpoints; see
        :class:`isthmus.training.Trainer`.

    Attributes
    ----------
    model_ : Model
        The trained model, a :class:`torch.nn.Module`.
    history_ : list of dict
        One record of named numbers per epoch, in nats per sample of the scaled data.
    n_iter_ : int
        Number of epochs trained.
    n_features_in_ : int
        Number of features, D.
    feature_names_in_ : ndarray of shape (D,)
        Names of the features, if the columns of X have string names.

    See Also
    --------
    isthmus.penalties.Contraction : The penalty, exact or estimated.

    References
    ----------
    Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, equation 5.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> model = ContractiveAutoencoder(max_epochs=3, random_state=0).fit(X)
    >>> sorted(model.history_[0])[:3]
    ['contraction', 'epoch', 'learning_rate']
    """

    def _own_penalties(self) -> list[Penalty]:
        return [Contraction(self.contraction)]
