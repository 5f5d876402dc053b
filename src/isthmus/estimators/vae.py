"""The variational autoencoder."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from isthmus.estimators._fields import estimator
from isthmus.estimators._validate import as_seed
from isthmus.estimators._variational import Elbo, LogLikelihoodEstimate, Variational

__all__ = ["VAE"]


@estimator
class VAE(Variational):
    r"""Variational autoencoder: a generative model p(x) = integral of p(x|z) p(z) dz, learned with its posterior.

    =============  =====================================================  ==================
    process        z ~ N(0, I);  x | z ~ N(f(z), sigma^2)                 ``prior``, ``likelihood``
    inference      q(z|x) = N(mu(x), Sigma(x)), diagonal or full          ``posterior``
    loss           -E_q[log p(x|z)] + beta KL(q(z|x) || p(z))             ``objective``, ``beta``
    =============  =====================================================  ==================

    With beta = 1 the loss is the negative evidence lower bound, since

    .. math:: \log p(x) - \mathrm{KL}(q(z|x) \,\|\, p(z|x)) = E_q[\log p(x|z)] - \mathrm{KL}(q(z|x) \,\|\, p(z)).

    Any other penalty, a corruption (denoising VAE), another likelihood or the importance-weighted objective are
    parameters. With ``hidden_layer_sizes=()`` it is probabilistic PCA.

    Parameters
    ----------

    See Also
    --------
    ConditionalVAE : The same, given labels or other columns.
    sklearn.mixture.GaussianMixture : Its ``score_samples`` is in the same unit.

    References
    ----------
    Kingma & Welling (2014), Auto-Encoding Variational Bayes; Rezende, Mohamed & Wierstra (2014); Doersch (2016),
    Tutorial on Variational Autoencoders; Burda et al. (2016) for the importance-weighted bound.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = VAE(2, max_epochs=20, random_state=0).fit(X)
    >>> model.transform(X).shape, model.score_samples(X).shape, model.sample(5, random_state=0).shape
    ((150, 2), (150,), (5, 4))
    """

    def score_samples(self, X: Any) -> np.ndarray:
        """Return log p(x) of every row by importance sampling with ``n_draws`` draws, in nats of the data's units.

        The estimate lies below the truth on average and rises to it with ``n_draws``. Draws come from a generator of
        the model's own: the same call gives the same numbers, whatever rows stand beside a row.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        ndarray of shape (N,)
        """
        return self._log_likelihood(self._rows(X), None)

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002 - scikit-learn's signature
        """Return the mean of :meth:`score_samples`; higher is better."""
        return float(np.mean(self.score_samples(X)))

    def score_samples_estimate(
        self, X: Any, *, n_draws: int = 1000, proposal_scale: float = 1.3
    ) -> LogLikelihoodEstimate:
        """Return log p(x) of every row with its standard error, and warn of rows where it cannot be trusted.

        The same estimate as :meth:`score_samples`, with draws of its own number and width.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.
        n_draws : int, default=1000
            S, draws for each row; memory does not grow with it.
        proposal_scale : float, default=1.3
            Factor by which draws from q(z|x) are spread, and weighted accordingly: trained posteriors are too narrow as
            a rule. 1, with at most 256 draws, gives the numbers of :meth:`score_samples`.

        Returns
        -------
        LogLikelihoodEstimate
            Named tuple of ``value``, ``standard_error``, ``effective_sample_size`` and ``pareto_k``, each of shape
            (N,), in nats of the data's units.

        Warns
        -----
        UserWarning
            Naming up to ten rows whose value cannot be trusted, and what helps.

        See Also
        --------
        isthmus.evaluation.log_marginal_estimate : The estimator, and its sources.
        isthmus.evaluation.annealed_estimate : For rows that cannot be trusted.

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
        """Return the evidence lower bound of every row with its parts, in nats of the data's units (beta = 1).

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.

        Returns
        -------
        Elbo
            Named tuple of ``elbo``, ``reconstruction`` and ``kl``, each of shape (N,).
        """
        return self._elbo(self._rows(X), None)

    def sample(self, n_samples: int = 1, *, random_state: Any = None) -> Any:
        """Draw rows from p(x), noise of p(x|z) included.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is touched.

        Returns
        -------
        ndarray of shape (n_samples, D), or a DataFrame where ``fit`` was given one
            float32 where ``fit`` was given that or integers of up to 16 bits, else float64.
        """
        check_is_fitted(self, "model_")
        return self._like_training_data(self._sample_rows(n_samples, as_seed(random_state), None))

    def sample_latent(self, X: Any, n_samples: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Draw codes from q(z|x).

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows.
        n_samples : int, default=1
            Draws for each row.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is touched.

        Returns
        -------
        ndarray of shape (n_samples, N, K)
        """
        return self._sample_codes(self._rows(X), n_samples, as_seed(random_state), None)

    def sample_imputations(self, X: Any, n_samples: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Draw completed copies of rows from p(x_missing | x_observed): multiple imputations, with the right spread.

        Codes are resampled from ``n_draws`` weighted draws; more of them come closer to the posterior.

        Parameters
        ----------
        X : array-like of shape (N, D)
            Rows, NaN where a cell is missing; observed cells come back bit for bit.
        n_samples : int, default=1
            Completed copies.
        random_state : int, RandomState or None, default=None
            Seed; no global generator is touched.

        Returns
        -------
        ndarray of shape (n_samples, N, D)
        """
        return self._sample_imputations(self._rows(X), n_samples, as_seed(random_state), None)
