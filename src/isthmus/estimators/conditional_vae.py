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
    columns are numbers, which are standardised. In a table of several columns, each is encoded by its kind, and
    :meth:`sample` takes them by name: ``given={"sex": "F", "age": 30}``. If y is labels, every method works without it:
    likelihoods sum over the classes, p(x) = sum_y p(x|y) p(y), and codes and reconstructions are averaged with p(y|x),
    so that no label leaks into a prediction.

    In scikit-learn's terms the model is a classifier: cross-validation is stratified by labels, and
    ``scoring="accuracy"`` or ``"roc_auc"`` work. ``score``, though, is the mean of log p(x|y).

    Parameters
    ----------
    n_components : int or None, default=None
        Number of latent units, K. If None, it is chosen by held-out samples, at most 32.
    likelihood : str or Likelihood, default="gaussian"
        Distribution p(x|z): "gaussian" for real numbers, "bernoulli" for binary data, "poisson" for counts or
        "categorical" for codes of categories; :mod:`isthmus.likelihoods` lists all. For a table, a dictionary sets the
        likelihoods of columns by name; those of other columns follow from the kinds of the columns.
    prior : str or Prior, default="auto"
        Prior p(z): "standard_normal", "mixture_of_normals", "vamp_prior" or "flow"; :mod:`isthmus.priors` lists all.
        "auto" is "standard_normal", or a mixture if held-out samples are more likely with it; see ``MLP(skip=True)``.
    posterior : str or Posterior, default="diagonal_normal"
        Approximate posterior q(z|x): "diagonal_normal", "full_normal" or "flow_normal".
    objective : str or Objective, default="penalized_likelihood"
        What is maximized: "penalized_likelihood", the ELBO, or "importance_weighted", the IWAE bound, on which beta has
        no effect. ``PenalizedLikelihood(free_bits=0.1)`` does not penalize small KL divergences.
    beta : float or Warmup, default=1.0
        Weight of the KL divergence: 1 is the ELBO. A Warmup raises it during training.
    n_draws : int, default=100
        Number of importance samples, S, of ``score_samples``, ``elbo`` and imputation.
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
