"""The conditional variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from isthmus._random import Stream, derive
from isthmus.estimators._condition import ContinuousCondition, DiscreteCondition, fit_condition
from isthmus.estimators._fields import estimator
from isthmus.estimators._inference import (
    encode,
    feature_errors,
    fill_missing,
    map_codes,
    map_rows,
    reconstruct,
    reconstruction_errors,
)
from isthmus.estimators._validate import as_seed, check_codes
from isthmus.estimators._variational import Elbo, LogLikelihoodEstimate, Variational

__all__ = ["ConditionalVAE"]

_Draw = Callable[[np.ndarray, int, int, np.ndarray | None], np.ndarray]


@estimator
class ConditionalVAE(ClassifierMixin, Variational):
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
        Results are the same, and small networks train faster. Steps that cannot be captured run as without it, with a
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

    conditional = True
    _all_classes = None  # what partial_fit got

    # ---- conditions -----------------------------------------------------------------------------------------

    def _fit_condition(self, y: Any, weight: np.ndarray, *, reset: bool) -> np.ndarray:
        if y is None:
            raise ValueError(
                "ConditionalVAE requires y to be passed, but the target y is None: labels or columns to condition on."
            )
        check_consistent_length(weight, y)
        if reset:
            self._condition = fit_condition(y, weight, self._all_classes)
            if isinstance(self._condition, DiscreteCondition):
                self.classes_ = self._condition.classes
            elif hasattr(self, "classes_"):
                del self.classes_
        encoded = self._condition.encode(y, len(weight))
        if isinstance(self._condition, DiscreteCondition):
            self._condition.class_weight = self._condition.class_weight + weight @ encoded
        return encoded

    def _require_labels(self, what: str) -> DiscreteCondition:
        if isinstance(self._condition, ContinuousCondition):
            raise ValueError(f"{what}: y was continuous in fit, and p(x) is no finite sum over it; pass y.")
        return self._condition

    def _one_class(self, label: Any, n_rows: int) -> np.ndarray:
        return self._condition.encode(label, n_rows)

    def _condition_for(self, X: Any, y: Any, what: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Return valid rows and their condition; None where labels were left out."""
        rows = self._rows(X)
        if y is None:
            self._require_labels(what)
            return rows, None
        return rows, self._condition.encode(y, len(rows))

    def _average_over_labels(self, X: np.ndarray, value: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return sum_y p(y|x) value(x, y), for ``value`` of a condition (N, C)."""
        share = np.exp(self._log_proba(X))  # (N, C)
        total: Any = 0.0
        for k, label in enumerate(self.classes_):
            result = value(self._one_class(label, len(X)))
            total = total + share[:, k].reshape(-1, *[1] * (result.ndim - 1)) * result
        return np.asarray(total, dtype=X.dtype)

    def _map(self, function: Any, X: Any, y: Any, what: str) -> np.ndarray:
        rows, c = self._condition_for(X, y, what)
        if c is not None:
            return map_rows(self, function, rows, c)
        return self._average_over_labels(rows, lambda condition: map_rows(self, function, rows, condition))

    # ---- the face -------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the model from rows and what they are conditioned on.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows of finite numbers.
        y : array-like of shape (N,) or (N, C)
            Labels, or columns of numbers.
        sample_weight : array-like of shape (N,), optional
            Weights of the rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If y is missing, or anything that :meth:`VAE.fit` refuses.
        """
        self._all_classes = None
        return super().fit(X, y, sample_weight)

    def partial_fit(  # type: ignore[override]  # the order of arguments is that of scikit-learn's classifiers
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Train for one epoch from the current parameters, at a constant learning rate.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : array-like of shape (N,) or (N, C)
            Labels, or columns of numbers. p(y) is estimated from the labels of all calls.
        classes : array-like of shape (C,), optional
            All labels that there will be. Pass them in the first call if its y has only some of them.
        sample_weight : array-like of shape (N,), optional
            Weights of the samples.

        Returns
        -------
        self
        """
        self._all_classes = classes
        return super().partial_fit(X, y, sample_weight)

    def fit_transform(self, X: Any, y: Any = None, sample_weight: Any = None) -> np.ndarray:
        """Fit, and return the codes of the same rows: with labels as ``transform(X)`` does, else given y."""
        self.fit(X, y, sample_weight)
        return self.transform(X, None if isinstance(self._condition, DiscreteCondition) else y)

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Return the posterior mean of every row given y, or averaged over p(y|x) without. Deterministic.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.
        y : array-like of shape (N,) or (N, C), optional
            Conditions.

        Returns
        -------
        ndarray of shape (N, K)
        """
        return self._map(encode, X, y, "transform")

    def inverse_transform(self, X: Any, y: Any = None) -> Any:
        """Return the decoder's mean for every code given y, or averaged over p(y) without, in the data's units.

        Parameters
        ----------
        X : array-like of shape (N, K)
            Codes.
        y : array-like of shape (N,) or (N, C), or one label, optional
            Conditions.

        Returns
        -------
        ndarray of shape (N, D)
        """
        check_is_fitted(self, "model_")
        Z = check_codes(self, X)
        if y is not None:
            return self._like(X, map_codes(self, Z, self._condition.encode(y, len(Z))))
        labels = self._require_labels("inverse_transform")
        means = [map_codes(self, Z, self._one_class(label, len(Z))) for label in labels.classes]
        return self._like(X, np.tensordot(np.exp(labels.log_prior), np.stack(means), 1).astype(Z.dtype))

    def reconstruct(self, X: Any, y: Any = None) -> Any:
        """Return the decoder mean of every row's code, in the data's units; without y averaged over p(y|x)."""
        return self._like(X, self._map(reconstruct, X, y, "reconstruct"))

    def feature_errors(self, X: Any, y: Any = None) -> np.ndarray:
        """Return -log p(x_d|z, y) of every cell at its row's code, in nats; without y averaged over p(y|x)."""
        return self._map(feature_errors, X, y, "feature_errors")

    def reconstruction_error(self, X: Any, y: Any = None) -> np.ndarray:
        """Return -log p(x|z, y) of every row at its code, in nats; without y averaged over p(y|x)."""
        return self._map(reconstruction_errors, X, y, "reconstruction_error")

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """Return log p(x|y), or without y log p(x) = log sum_y p(x|y) p(y), in nats of the data's units.

        By importance sampling with ``n_draws`` draws: below the truth on average, rising to it with them. The same call
        gives the same numbers.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.
        y : array-like of shape (N,) or (N, C), optional
            Conditions.

        Returns
        -------
        ndarray of shape (N,)
        """
        rows, c = self._condition_for(X, y, "score_samples")
        return self._log_likelihood(rows, c) if c is not None else logsumexp(self._joint_log_likelihood(rows), axis=1)

    def score_samples_estimate(
        self, X: Any, y: Any = None, *, n_draws: int = 1000, proposal_scale: float = 1.3
    ) -> LogLikelihoodEstimate:
        """Return log p(x|y), or without y log p(x), with its standard error, and warn of rows not to be trusted.

        As :meth:`VAE.score_samples_estimate`; where y is left out, the standard error is an upper bound of it.
        """
        rows, c = self._condition_for(X, y, "score_samples_estimate")
        if c is not None:
            return self._log_likelihood_estimate(rows, c, n_draws, proposal_scale).warn_if_unreliable()
        classes = [
            self._log_likelihood_estimate(rows, self._one_class(k, len(rows)), n_draws, proposal_scale)
            for k in self.classes_
        ]
        return LogLikelihoodEstimate.sum_over_labels(
            self._require_labels("score_samples_estimate").log_prior, classes, n_draws
        ).warn_if_unreliable()

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of :meth:`score_samples`; higher is better."""
        return float(np.mean(self.score_samples(X, y)))

    def elbo(self, X: Any, y: Any = None) -> Elbo:
        """Return the bound on log p(x|y) and its parts, or without y the bound on log p(x).

        Without y the bound averages over r(y) = p(y|x), and KL(r(y) || p(y)) is part of ``kl``.
        """
        rows, c = self._condition_for(X, y, "elbo")
        if c is not None:
            return self._elbo(rows, c)
        log_r = self._log_proba(rows)
        parts = np.stack([self._elbo(rows, self._one_class(k, len(rows))) for k in self.classes_])  # (C, 3, N)
        mean = np.einsum("nc,cpn->pn", np.exp(log_r), parts)
        kl = (np.exp(log_r) * (log_r - self._require_labels("elbo").log_prior)).sum(axis=1)
        return Elbo(mean[0] - kl, mean[1], mean[2] + kl)

    def _joint_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        labels = self._require_labels("score_samples")
        columns = [self._log_likelihood(X, self._one_class(label, len(X))) for label in labels.classes]
        return (np.stack(columns, axis=1) + labels.log_prior).astype(X.dtype)

    def _log_proba(self, X: np.ndarray) -> np.ndarray:
        joint = self._joint_log_likelihood(X)
        return np.asarray(joint - logsumexp(joint, axis=1, keepdims=True))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return p(y|x), proportional to p(x|y) p(y), for every class.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N, C)
            Columns in the order of ``classes_``.
        """
        rows, _ = self._condition_for(X, None, "predict_proba")
        return np.exp(self._log_proba(rows))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every row by :meth:`predict_proba`, (N,)."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]

    def sample(self, n_samples: int = 1, *, y: Any = None, random_state: Any = None) -> Any:
        """Draw rows from p(x|y), noise of p(x|z, y) included; without y, labels are drawn from p(y) first.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        y : label, or array-like of n_samples labels or (n_samples, C) numbers, optional
            What to draw.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is touched.

        Returns
        -------
        ndarray of shape (n_samples, D), or a DataFrame where ``fit`` was given one
            float32 where ``fit`` was given that or integers of up to 16 bits, else float64.
        """
        check_is_fitted(self, "model_")
        seed = as_seed(random_state)
        if y is None:
            labels = self._require_labels("sample")
            share = np.exp(labels.log_prior)
            y = np.random.default_rng(derive(seed, Stream.SAMPLED_LABELS)).choice(
                labels.classes, size=n_samples, p=share / share.sum()
            )
        return self._like_training_data(self._sample_rows(n_samples, seed, self._condition.encode(y, n_samples)))

    def sample_latent(self, X: Any, n_samples: int = 1, *, y: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw codes from q(z|x, y), (n_samples, N, K); without y, a label is drawn from p(y|x) for every draw."""
        rows, c = self._condition_for(X, y, "sample_latent")
        return self._sample_over_labels(rows, n_samples, as_seed(random_state), c, self._sample_codes)

    def impute(self, X: Any, y: Any = None) -> Any:
        """Return X with every missing cell (NaN) filled by its conditional mean; without y averaged over p(y|x).

        Observed cells come back bit for bit.
        """
        rows, c = self._condition_for(X, y, "impute")
        if c is not None:
            return self._like(X, fill_missing(rows, self._impute(rows, c)))
        return self._like(
            X, fill_missing(rows, self._average_over_labels(rows, lambda condition: self._impute(rows, condition)))
        )

    def sample_imputations(self, X: Any, n_samples: int = 1, *, y: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw completed copies of rows, (n_samples, N, D); without y, a label is drawn from p(y|x) for every draw."""
        rows, c = self._condition_for(X, y, "sample_imputations")
        return self._sample_over_labels(rows, n_samples, as_seed(random_state), c, self._sample_imputations)

    def _sample_over_labels(
        self, X: np.ndarray, n_samples: int, seed: int, c: np.ndarray | None, draw: _Draw
    ) -> np.ndarray:
        """Return ``draw(X, n_samples, seed, c)``; without c, each draw has a label of its own, from p(y|x)."""
        if c is not None:
            return draw(X, n_samples, seed, c)
        draws = np.stack(
            [draw(X, n_samples, seed, self._one_class(k, len(X))) for k in self.classes_]
        )  # (C, n_samples, N, ...)
        cumulative = np.exp(self._log_proba(X)).cumsum(axis=1)  # (N, C)
        u = np.random.default_rng(derive(seed, Stream.POSTERIOR_LABELS)).random((n_samples, len(X), 1))
        chosen = (u > cumulative[None, :, :-1]).sum(axis=-1)  # (n_samples, N)
        return np.take_along_axis(draws, chosen[None, :, :, None], axis=0)[0]
