"""The denoising autoencoder."""

from __future__ import annotations

from isthmus._part import Part
from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import estimator

__all__ = ["DenoisingAutoencoder"]


@estimator
class DenoisingAutoencoder(DeterministicAutoencoder):
    r"""Reconstruct clean samples from corrupted ones.

    The loss, in nats per sample, is

    .. math:: L(x) = E_{\tilde x \sim c(\cdot \mid x)}\big[-\log p(x \mid z = f(\tilde x))\big].

    Samples are corrupted during training only: ``reconstruct`` of a noisy sample is the denoised one. By default the
    noise is normal, and its level differs between samples, from none to 0.7 standard deviations of the scaled data. If
    you know the noise of your data, use ``corruption=GaussianNoise(s)``: with noise of variance s^2 the best
    reconstruction is E[x|x~] = x~ + s^2 grad log p(x~) (Tweedie's formula), so that the model learns the score of the
    noisy data. K may exceed D: the noise keeps the network from copying its input.

    To impute missing values, train with ``corruption=Masking(0.5, input_mask=True)``, which shows the encoder the mask.

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
    corruption : str or Corruption, default="varying_noise"
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
    isthmus.corruptions : The corruptions and their strengths.

    References
    ----------
    Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11; Vincent (2011), A Connection Between Score
    Matching and Denoising Autoencoders; Alain & Bengio (2014), What Regularized Auto-Encoders Learn, JMLR 15.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> model = DenoisingAutoencoder(max_epochs=3, random_state=0).fit(X)
    >>> model.reconstruct(X).shape
    (1797, 64)
    """

    corruption: str | Part = "varying_noise"
