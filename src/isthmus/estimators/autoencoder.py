"""The plain autoencoder."""

from __future__ import annotations

from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import estimator

__all__ = ["Autoencoder"]


@estimator
class Autoencoder(DeterministicAutoencoder):
    r"""Compress samples to codes of a few numbers, and reconstruct them.

    The loss of a sample x with code f(x), in nats and summed over features, is

    .. math::

        L(x) = -\log p(x \mid z = f(x))
             = \sum_d \Big[\frac{(x_d - g_d(f(x)))^2}{2\sigma^2} + \log\sigma + \tfrac12\log 2\pi\Big]

    for the default Gaussian likelihood with one learned sigma. There is no penalty; the network cannot learn the
    identity because K is smaller than D. With ``hidden_layer_sizes=()`` the codes span the subspace of PCA.

    Parameters
    ----------
    n_components : int or None, default=None
        Number of latent units, K. If None, it is chosen by held-out samples, at most 32.
    likelihood : str or Likelihood, default="gaussian"
        Distribution p(x|z): "gaussian" for real numbers, "bernoulli" for binary data, "poisson" for counts or
        "categorical" for codes of categories; :mod:`isthmus.likelihoods` lists all. For a table, a dictionary sets the
        likelihoods of columns by name; those of other columns follow from the kinds of the columns.
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
    SparseAutoencoder : Only a few units of each code are active.
    DenoisingAutoencoder : Learns to remove noise.
    ContractiveAutoencoder : Codes change little when the sample does.
    VAE : The generative model.

    References
    ----------
    Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks, Science 313;
    Baldi & Hornik (1989), Neural Networks and Principal Component Analysis, for the linear autoencoder.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = Autoencoder(2, max_epochs=20, random_state=0).fit(X)
    >>> model.transform(X).shape, model.reconstruct(X).shape
    ((150, 2), (150, 4))
    """
