"""The variational autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from isthmus.data.sources import RowSource
from isthmus.estimators._cells import score_cells
from isthmus.estimators._check_fields import as_seed
from isthmus.estimators._fields import estimator
from isthmus.estimators._given import sample_given_cells
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
    effective_sample_size_ : float
        Number of effective codes behind the last ``sample(given=...)``; the least of those of its rows.

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
        Where less than a quarter of the draws are effective, as for samples unlike the training data, they come from
        normal distributions at the modes of p(z|x) instead (:func:`isthmus.evaluation.laplace_approximation`), and so
        they do for samples with missing values if there were none in ``fit``.
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

    def score_features(self, X: Any) -> Any:
        r"""Return log p(x_d | all other features) of each value: very negative where a value is odd given the others.

        .. math:: \log p(x_d \mid x_{-d}) = \log p(x) - \log p(x_{-d})

        Both are estimated as in :meth:`score_samples`, which this method calls once per feature. In
        :meth:`feature_errors`, the code of a sample has also seen the value itself.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Samples.

        Returns
        -------
        ndarray of shape (N, D), or a DataFrame for a table with other columns than floats
            Nats of the data's units; NaN where a value is missing.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> X = load_iris().data
        >>> odd = X[:1].copy(); odd[0, 2] = 6.0  # a petal of 6 cm beside the sepals of a flower with short petals
        >>> int(VAE(2, max_epochs=100, random_state=0).fit(X).score_features(odd).argmin())
        2
        """
        rows = self._rows(X)
        return self._as_features(self._score_cells(rows[:] if isinstance(rows, RowSource) else rows))

    def _score_cells(self, X: np.ndarray) -> np.ndarray:
        return score_cells(X, self._feature_columns(), lambda rows: self._log_likelihood(rows, None))

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
            usually too narrow. With 1 and at most 256 draws the results are those of :meth:`score_samples`. Draws
            from a normal distribution at a mode are not widened.

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
        >>> estimate = VAE(2, max_epochs=20, random_state=1).fit(X).score_samples_estimate(X)
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

    def sample(self, n_samples: int = 1, *, given: Any = None, random_state: Any = None) -> Any:
        """Draw samples from p(x), or from p(x | given values), including the noise of p(x|z).

        Given values are conditioned on by importance resampling (:func:`isthmus.evaluation.sample_given`): samples come
        from at most 100,000 weighted codes. How many of these are effective is stored in ``effective_sample_size_``,
        and a warning says if they are few. A :class:`ConditionalVAE` needs no weights.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        given : dict, optional
            Values by column (of an array: by number), such as ``{"sex": "F", "age": 30}``: one for all samples, or
            n_samples of them.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is used.

        Returns
        -------
        ndarray of shape (n_samples, D), or a DataFrame if ``fit`` got one
            float32 if ``fit`` got float32 or integers of up to 16 bits, else float64.
        """
        check_is_fitted(self, "model_")
        if given is None:
            return self._like_training_data(self._sample_rows(n_samples, as_seed(random_state), None))
        found, self.effective_sample_size_ = sample_given_cells(self, n_samples, given, as_seed(random_state))
        return found

    def sample_latent(self, X: Any, n_samples: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Draw codes from q(z|x).

        For samples with missing values, if ``fit`` had none, they come from a normal distribution at the mode of
        p(z|x).

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

    def sample_imputations(self, X: Any, n_samples: int = 1, *, random_state: Any = None) -> Any:
        """Draw completed copies of X from p(x_missing | x_observed), for multiple imputation.

        Codes are resampled from ``n_draws`` weighted draws, made as in :meth:`score_samples`, whose distribution
        approaches the posterior as their number grows (sampling-importance-resampling). A warning names samples of
        which fewer than 3 draws are effective.

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
        ndarray of shape (n_samples, N, D), or list of tables
            Of a table with other columns than floats, a list of n_samples tables like X.
        """
        draws = self._conditional_draws(self._rows(X), n_samples, as_seed(random_state))
        return self._completed_copies(X, draws)
