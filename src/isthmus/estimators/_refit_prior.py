"""The prior that is fitted to the codes of a trained model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isthmus._random import Stream, derive
from isthmus.estimators._data import TrainingData
from isthmus.initialization import CodeMixture, choose_code_mixture, fit_code_mixture
from isthmus.model import Model
from isthmus.priors import MixtureOfNormals

__all__ = ["refit_prior"]

_MAX_ROWS, _FEW_ROWS = 20_000, 4000
_DRAWS = 4  # of the code of each of a few samples; of many, one says as much
_HELD_OUT = 5  # every fifth sample, if early stopping holds out none


def refit_prior(
    estimator: Any, data: TrainingData, held_out: np.ndarray, chosen: CodeMixture | None
) -> CodeMixture | None:
    """Replace the prior of a trained model by a mixture fitted to codes, if held-out codes are more likely then.

    The mean log p(z) of codes is the only term of the ELBO that depends on the prior.

    Parameters
    ----------
    estimator : Variational
        Its model has been trained.
    data : TrainingData
        The training data.
    held_out : ndarray of int
        Indices of the samples that early stopping holds out.
    chosen : CodeMixture or None
        A choice made before, with held-out samples that are among those to fit to now.

    Returns
    -------
    CodeMixture or None
        The choice; None if the prior stays.
    """
    seed = derive(estimator.seed_, Stream.CODES) % 2**31  # that scikit-learn takes
    X, weight, condition, index = data.sample(estimator.seed_)
    some = np.sort(np.random.default_rng(seed).permutation(len(X))[:_MAX_ROWS])
    X, weight, condition = X[some], weight[some], None if condition is None else condition[some]
    codes = estimator._sample_codes(X, _DRAWS if len(X) <= _FEW_ROWS else 1, seed, condition).astype(float)
    if chosen:
        mixture = fit_code_mixture(codes, weight, chosen, seed)
    else:
        held = np.isin(index[some], held_out)
        held = held if held.any() else np.arange(len(X)) % _HELD_OUT == 0
        current = _mean_log_prob(estimator.model_, codes[:, held], weight[held])
        found = choose_code_mixture(codes[:, ~held], weight[~held], codes[:, held], weight[held], current, seed)
        if found is None:
            return None
        chosen, mixture = found
    prior = MixtureOfNormals(len(mixture.weights), covariance="full")
    prior.build(codes.shape[-1])
    weights, means, covariances = map(torch.from_numpy, mixture)
    prior.set_mixture(weights, means, covariances)
    estimator.model_.prior = prior.to(estimator.model_.network.dtype).eval()
    return chosen


@torch.no_grad()
def _mean_log_prob(model: Model, codes: np.ndarray, weight: np.ndarray) -> float:
    """Return the mean log density of codes (S, N, K) under the prior."""
    log_prob = model.p_z().log_prob(torch.from_numpy(codes).to(model.network.dtype))
    return float(np.average(log_prob.mean(0).double().numpy(), weights=weight))
