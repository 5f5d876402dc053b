"""The conditional variational autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin

from isthmus.estimators._conditional_transforms import ConditionalTransforms
from isthmus.estimators._fields import estimator
from isthmus.estimators._variational import Elbo, LogLikelihoodEstimate

__all__ = ["ConditionalVAE"]


@estimator
class ConditionalVAE(ClassifierMixin, ConditionalTransforms):
    r"""Learn a generative model p(x|y) = integral of p(x|z, y) p(z) dz of samples given labels or other variables y.

    =============  =====================================================  ==================
    process        z ~ N(0, I);  x | z, y ~ N(f(z, y), sigma^2)           ``prior``, ``likelihood``
    inference      q(z|x, y) = N(mu(x, y), Sigma(x, y))                   ``posterior``
    loss           -E_q[log p(x|z, y)] + beta KL(q(z|x, y) || p(z))       ``objective``, ``beta``
    =============  =====================================================  ==================

    One column of strings, booleans or a few whole numbers is labels, which are one-hot encoded; floats or several
    columns are numbers, which are standardised. If y is labels, every method works without it: likelihoods sum over
    the classes, p(x) = sum_y p(x|y) p(y), and codes and reconstructions are averaged with p(y|x), so that no label
    leaks into a prediction.

    In scikit-learn's terms the model is a classifier: cross-validation is stratified by labels, and
    ``scoring="accuracy"`` or ``"roc_auc"`` work. ``score``, though, is the mean of log p(x|y).

    Parameters
    ----------
    n_components : int, default=2
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
    corruption : str or Corruption, default="none"
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
    posterior : str or Posterior, default="diagonal_normal"
        Approximate posterior q(z|x): "diagonal_normal", "full_normal" or "flow_normal".
    prior : str or Prior, default="standard_normal"
        Prior p(z): "standard_normal", "mixture_of_normals", "vamp_prior" or "flow". :mod:`isthmus.priors` lists all.
    objective : str or Objective, default="penalized_likelihood"
        What is maximized: "penalized_likelihood", the ELBO, or "importance_weighted", the IWAE bound, on which beta and
        free_bits have no effect.
    beta : float or Warmup, default=1.0
        Weight of the KL divergence: 1 is the ELBO. A Warmup raises it during training.
    free_bits : float, default=0.0
        KL divergence per latent unit, in nats, below which there is no penalty.
    n_draws : int, default=100
        Number of importance samples, S, of ``score_samples``, ``elbo`` and imputation.

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
    classes_ : ndarray of shape (C,)
        The labels, if y is labels.

    See Also
    --------
    VAE : The same model without conditions.

    References
    ----------
    Sohn, Lee & Yan (2015), Learning Structured Output Representation using Deep Conditional Generative Models;
    Kingma et al. (2014), Semi-supervised Learning with Deep Generative Models; Doersch (2016), Tutorial on
    Variational Autoencoders, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ConditionalVAE(2, max_epochs=20, random_state=0).fit(X, y)
    >>> model.sample(3, y=2, random_state=0).shape, model.predict_proba(X).shape
    ((3, 4), (150, 3))
    """

    # ---- likelihoods ----------------------------------------------------------------------------------------

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """Return log p(x|y) of each sample, or without y log p(x) = log sum_y p(x|y) p(y), in nats of the data's units.

        It is estimated by importance sampling with ``n_draws`` draws, as in :meth:`VAE.score_samples`.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        ndarray of shape (N,)
        """
        if y is None:
            return np.asarray(np.logaddexp.reduce(self._joint_log_likelihood(self._rows(X)), axis=1))
        return self._log_likelihood(*self._given(X, y))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of :meth:`score_samples`; higher is better. This is not the accuracy of :meth:`predict`.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        float
        """
        return float(np.mean(self.score_samples(X, y)))

    def score_samples_estimate(
        self, X: Any, y: Any = None, *, n_draws: int = 1000, proposal_scale: float = 1.3
    ) -> LogLikelihoodEstimate:
        """Return log p(x|y), or without y log p(x), with standard errors, and warn if samples are unreliable.

        The parameters and the result are those of :meth:`VAE.score_samples_estimate`. Without y the standard error is
        an upper bound.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.
        n_draws : int, default=1000
            Number of importance samples, S.
        proposal_scale : float, default=1.3
            Factor by which the proposal q(z|x, y) is widened.

        Returns
        -------
        LogLikelihoodEstimate
        """
        if y is not None:
            rows, c = self._given(X, y)
            return self._log_likelihood_estimate(rows, c, n_draws, proposal_scale).warn_if_unreliable()
        rows, labels = self._rows(X), self._require_labels()
        per_label = [
            self._log_likelihood_estimate(rows, c, n_draws, proposal_scale) for c in self._each_label(len(rows))
        ]
        return LogLikelihoodEstimate.sum_over_labels(labels.log_prior, per_label, n_draws).warn_if_unreliable()

    def elbo(self, X: Any, y: Any = None) -> Elbo:
        """Return the lower bound on log p(x|y) with its parts, or without y the lower bound on log p(x).

        Without y the bound is averaged over p(y|x), and ``kl`` includes KL(p(y|x) || p(y)).

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C), optional
            Labels or numbers.

        Returns
        -------
        Elbo
            Named tuple of ``elbo``, ``reconstruction`` and ``kl``, each of shape (N,), in nats of the data's units.
        """
        if y is not None:
            return self._elbo(*self._given(X, y))
        rows, labels = self._rows(X), self._require_labels()
        log_r = self._log_proba(rows)
        parts = np.stack([self._elbo(rows, c) for c in self._each_label(len(rows))])  # (C, 3, N)
        mean = np.einsum("nc,cpn->pn", np.exp(log_r), parts)
        kl = (np.exp(log_r) * (log_r - labels.log_prior)).sum(axis=1)
        return Elbo(mean[0] - kl, mean[1], mean[2] + kl)

    # ---- labels ---------------------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return p(y|x) of each class, proportional to p(x|y) p(y).

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.

        Returns
        -------
        ndarray of shape (N, C)
            Columns in the order of ``classes_``.
        """
        return np.exp(self._log_proba(self._rows(X)))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.

        Returns
        -------
        ndarray of shape (N,)
        """
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]
