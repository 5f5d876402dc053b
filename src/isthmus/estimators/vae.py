"""The variational autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from isthmus.estimators._check_fields import as_seed
from isthmus.estimators._fields import estimator
from isthmus.estimators._variational import Elbo, LogLikelihoodEstimate, Variational

__all__ = ["VAE"]


@estimator
class VAE(Variational):
    r"""Learn a generative model p(x) = integral of p(x|z) p(z) dz, and infer the latent variables z of samples.

    =============  =====================================================  ==================
    process        z ~ N(0, I);  x | z ~ N(f(z), sigma^2)                 ``prior``, ``likelihood``
    inference      q(z|x) = N(mu(x), Sigma(x)), diagonal or full          ``posterior``
    loss           -E_q[log p(x|z)] + beta KL(q(z|x) || p(z))             ``objective``, ``beta``
    =============  =====================================================  ==================

    With beta = 1 the loss is the negative evidence lower bound (ELBO), since

    .. math:: \log p(x) - \mathrm{KL}(q(z|x) \,\|\, p(z|x)) = E_q[\log p(x|z)] - \mathrm{KL}(q(z|x) \,\|\, p(z)).

    Other likelihoods, priors and posteriors, further penalties, a corruption (a denoising VAE) and the
    importance-weighted bound are parameters. With ``hidden_layer_sizes=()`` the model is probabilistic PCA.

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

    See Also
    --------
    ConditionalVAE : The same model given labels or other variables.
    sklearn.mixture.GaussianMixture : Its ``score_samples`` is in the same unit.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes; Rezende, Mohamed & Wierstra (2014), Stochastic
    Backpropagation and Approximate Inference in Deep Generative Models; Doersch (2016), Tutorial on Variational
    Autoencoders; Burda et al. (2016), Importance Weighted Autoencoders.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = VAE(2, max_epochs=20, random_state=0).fit(X)
    >>> model.transform(X).shape, model.score_samples(X).shape, model.sample(5, random_state=0).shape
    ((150, 2), (150,), (5, 4))
    """

    def score_samples(self, X: Any) -> np.ndarray:
        r"""Return log p(x) of each sample, estimated by importance sampling, in nats of the data's units.

        .. math:: \log p(x) \approx \log \frac1S \sum_s \frac{p(x|z_s)\, p(z_s)}{q(z_s|x)}, \qquad z_s \sim q(z|x)

        with S = ``n_draws``. The estimate is too low on average, and approaches log p(x) with S (Burda et al., 2016).
        It is deterministic: a sample's score depends neither on earlier calls nor on the other samples in X.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples; missing values (NaN) are integrated out.

        Returns
        -------
        ndarray of shape (N,)
        """
        return self._log_likelihood(self._rows(X), None)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """Return the mean of :meth:`score_samples`; higher is better.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        y : None
            Ignored.
        """
        return float(np.mean(self.score_samples(X)))

    def score_samples_estimate(
        self, X: Any, *, n_draws: int = 1000, proposal_scale: float = 1.3
    ) -> LogLikelihoodEstimate:
        """Return log p(x) of each sample with its standard error, and warn of unreliable samples.

        The estimate is that of :meth:`score_samples`, with its own number of draws and width of the proposal.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        n_draws : int, default=1000
            Number of importance samples, S. Memory does not grow with it.
        proposal_scale : float, default=1.3
            Factor by which the proposal q(z|x) is widened; importance weights account for it. Trained posteriors are
            usually too narrow. With 1 and at most 256 draws the results are those of :meth:`score_samples`.

        Returns
        -------
        LogLikelihoodEstimate
            Named tuple of ``value``, ``standard_error``, ``effective_sample_size`` and ``pareto_k``, each of shape
            (N,), in nats of the data's units.

        See Also
        --------
        isthmus.evaluation.annealed_estimate : An estimate that is reliable for more samples.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> estimate = VAE(2, max_epochs=20, random_state=0).fit(X).score_samples_estimate(X)
        >>> bool(estimate.standard_error.max() < 0.2)
        True
        """
        return self._log_likelihood_estimate(self._rows(X), None, n_draws, proposal_scale).warn_if_unreliable()

    def elbo(self, X: Any) -> Elbo:
        """Return the evidence lower bound of each sample with its parts, in nats of the data's units.

        beta is 1 here, whatever the model was trained with. As in :meth:`score_samples` there are ``n_draws`` draws.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.

        Returns
        -------
        Elbo
            Named tuple of ``elbo``, ``reconstruction`` and ``kl``, each of shape (N,).
        """
        return self._elbo(self._rows(X), None)

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> Any:
        """Draw samples from p(x), including the noise of p(x|z).

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is used.

        Returns
        -------
        ndarray of shape (n_samples, D), or a DataFrame if ``fit`` got one
            float32 if ``fit`` got float32 or integers of up to 16 bits, else float64.
        """
        check_is_fitted(self, "model_")
        return self._like_training_data(self._sample_rows(n_samples, as_seed(random_state), None))

    def sample_latent(self, X: Any, n_samples: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Draw codes from q(z|x).

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.
        n_samples : int, default=1
            Number of draws for each sample.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is used.

        Returns
        -------
        ndarray of shape (n_samples, N, K)
        """
        return self._sample_codes(self._rows(X), n_samples, as_seed(random_state), None)

    def sample_imputations(self, X: Any, n_samples: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Draw completed copies of X from p(x_missing | x_observed), for multiple imputation.

        Codes are resampled from ``n_draws`` weighted draws, whose distribution approaches the posterior as their number
        grows (sampling-importance-resampling).

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples, NaN where a value is missing. Observed values come back bit for bit.
        n_samples : int, default=1
            Number of completed copies.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is used.

        Returns
        -------
        ndarray of shape (n_samples, N, D)
        """
        return self._sample_imputations(self._rows(X), n_samples, as_seed(random_state), None)
