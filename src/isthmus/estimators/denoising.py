"""The denoising autoencoder."""

from __future__ import annotations

import dataclasses

from isthmus._part import Part
from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import estimator

__all__ = ["DenoisingAutoencoder"]


@estimator
class DenoisingAutoencoder(DeterministicAutoencoder):
    r"""Reconstruct clean samples from corrupted ones.

    The loss, in nats per sample, is

    .. math:: L(x) = E_{\tilde x \sim c(\cdot \mid x)}\big[-\log p(x \mid z = f(\tilde x))\big].

    Samples are corrupted during training only: ``reconstruct`` of a noisy sample is the denoised one. With Gaussian
    noise of variance s^2 the best reconstruction is E[x|x~] = x~ + s^2 grad log p(x~) (Tweedie's formula), so that the
    model learns the score of the noisy data. K may exceed D: the noise keeps the network from copying its input.

    To impute missing values, train with ``corruption=Masking(0.5, input_mask=True)``, which shows the encoder the mask.

    Parameters
    ----------
    n_components : int, default=16
        Number of latent units, K.
    hidden_layer_sizes : int or tuple of int, default=(256, 128)
        Widths of the encoder's hidden layers; the decoder has the same in reverse order. An int is one layer, and ()
        makes encoder and decoder linear.
    activation : str, default="elu"
        Activation of the hidden layers: "identity", "relu", "elu", "silu", "gelu", "tanh", "sigmoid" or "softplus".
    network : str or Network, default="mlp"
        Encoder and decoder: "mlp", "conv", or a Network object, which brings its own sizes.
    image_shape : tuple of int, optional
        Shape (height, width) or (channels, height, width) of the images in the rows of X, for network="conv".
    likelihood : str or Likelihood, default="gaussian"
        Distribution p(x|z). "gaussian" learns one standard deviation for all features; "bernoulli" is for binary data,
        "poisson" for counts, "categorical" for codes of categories. :mod:`isthmus.likelihoods` lists all.
    scaling : str or Scaling, default="auto"
        Scaling of the data inside the model: "standard", "min_max", "none", or "auto", the default of the likelihood.
        Results are in the units of the data, likelihoods too.
    corruption : str or Corruption, default="gaussian_noise"
        Corruption of the encoder's input during training: "none", "gaussian_noise", "uniform_noise", "masking",
        "salt_and_pepper", or an object that sets its strength, such as ``Masking(0.5)``.
    penalties : sequence of (str or Penalty), default=()
        Terms added to the loss: "l1", "kl_sparsity", "contraction", "kl", or objects that set their weights.
    max_epochs : int, default=100
        Maximum number of epochs.
    batch_size : int, default=128
        Maximum number of samples per training step.
    gradient_accumulation : int, default=1
        Number of parts in which each batch is computed. Their gradients are summed: the same step in less memory. Terms
        that are means over the batch, such as "kl_sparsity", become means over each part.
    learning_rate : float, default=3e-3
        Peak learning rate of Adam.
    encoder_learning_rate : float, optional
        Peak learning rate of the encoder; by default ``learning_rate``. Large steps can collapse the codes: in short
        runs a quarter of ``learning_rate`` often reaches a given loss sooner.
    schedule : {"one_cycle", "linear", "constant"}, default="one_cycle"
        Learning rate over time: "one_cycle" is a warm-up and a cosine decay, "linear" a warm-up and a linear decay (for
        one or two epochs of many samples).
    weight_decay : float, default=0.0
        Decoupled weight decay, as in AdamW.
    adam_betas : tuple of float, default=(0.9, 0.999)
        Adam's decay rates (beta1, beta2). In runs of about 1,000 steps, beta2=0.95 reaches a lower loss than the
        default.
    early_stopping : bool, default=False
        Whether to hold out samples, stop when their loss no longer falls, and keep the parameters at which it was
        lowest.
    validation_fraction : float, default=0.1
        Fraction of the samples that early stopping holds out.
    n_iter_no_change : int, default=10
        Number of epochs without a lower validation loss after which early stopping ends training.
    random_state : int, RandomState or None, default=None
        Seed of everything random in ``fit``. Pass an int for reproducible results; global generators are never used.
    device : str, default="auto"
        Device of training and inference: "auto" (the first GPU, else the CPU), "cpu", "cuda", "cuda:1" or "mps".
    precision : {"float32", "float64", "bf16"}, default="float32"
        Number format of training. With "bf16" the network computes in bfloat16 and Adam updates float32 copies of its
        weights; the device needs bfloat16 arithmetic.
    compile : bool, default=False
        Whether to capture whole training steps and replay them: an operator graph on a CPU, a CUDA graph on a GPU.
        Results are the same, and small networks train faster. Steps that cannot be captured run eagerly, with a
        warning.
    warm_start : bool, default=False
        Whether ``fit`` continues from the parameters of the previous call.
    verbose : int, default=0
        1 shows a progress bar on stderr, or one line per epoch if stderr is not a terminal.
    callbacks : sequence of callable, default=()
        Functions called after each epoch with its record, a dict of numbers. Training stops if one returns True.
    loggers : sequence, default=()
        Objects with a method ``log_metrics(metrics, step)``, called after each epoch:
        :class:`isthmus.engine.CSVLogger`, :class:`isthmus.engine.TensorBoardLogger`, a logger of Lightning Fabric, or
        your own.
    checkpoint_dir : str, optional
        Folder for checkpoints of ``fit``. After an interruption the same call of ``fit`` resumes from the newest
        checkpoint, and ends with exactly the parameters of an uninterrupted run. A complete run removes its
        checkpoints.
    checkpoint_seconds : float, default=30.0
        Seconds between checkpoints.
    code_activation : str, default="identity"
        Activation of the code, one of those of the hidden layers.
    tied : bool, default=False
        Whether the decoder's weights are the transposed weights of the encoder, for network="mlp".

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

    n_components: int = dataclasses.field(default=16, kw_only=False)
    corruption: str | Part = "gaussian_noise"
