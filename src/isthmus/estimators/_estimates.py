"""What the VAE family returns about likelihoods: bounds, and estimates with measures of their reliability."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch

from isthmus.evaluation import Estimate, unreliable

__all__ = ["Elbo", "LogLikelihoodEstimate", "named_rows"]

_MAX_NAMED = 10  # samples that a warning names
_MIN_PROBA = 0.01  # p(y|x) from which the tail of a label's weights matters


class Elbo(NamedTuple):
    """Evidence lower bound of each sample and its parts, in nats of the data's units.

    Attributes
    ----------
    elbo : ndarray of shape (N,)
        ``-(reconstruction + kl)``. Its expectation is at most log p(x).
    reconstruction : ndarray of shape (N,)
        E_q[-log p(x|z)].
    kl : ndarray of shape (N,)
        KL(q(z|x) || p(z)).
    """

    elbo: np.ndarray
    reconstruction: np.ndarray
    kl: np.ndarray


class LogLikelihoodEstimate(NamedTuple):
    """Importance-sampling estimate of log p(x) of each sample, with measures of its reliability.

    Attributes
    ----------
    value : ndarray of shape (N,)
        The estimate, in nats of the data's units. Its bias is about ``-standard_error**2 / 2``.
    standard_error : ndarray of shape (N,)
        Standard error of the estimate, in nats; NaN for a single draw.
    effective_sample_size : ndarray of shape (N,)
        Number of draws from the true posterior that would be as good as the weighted ones, 1 to ``n_draws``.
    pareto_k : ndarray of shape (N,)
        Tail index of the importance weights. Above 0.7 the standard error is meaningless. NaN if there are too few
        draws to estimate it.
    """

    value: np.ndarray
    standard_error: np.ndarray
    effective_sample_size: np.ndarray
    pareto_k: np.ndarray

    def unreliable(self) -> np.ndarray:
        """Return the indices of unreliable samples in ascending order, by :func:`isthmus.evaluation.unreliable`."""
        return unreliable(Estimate(*(torch.from_numpy(np.asarray(column)) for column in self))).numpy()

    def warn_if_unreliable(self) -> Self:
        """Warn if there are unreliable samples, naming the first of them, and return the estimate."""
        rows = self.unreliable()
        if len(rows):
            warnings.warn(
                f"log p(x) is unreliable, usually too low, in {len(rows)} of {len(self.value)} rows (few effective "
                f"draws, or weights with a heavy tail): {named_rows(rows)}. Try more draws (n_draws), or "
                "isthmus.evaluation.annealed_estimate, which helps most.",
                stacklevel=3,
            )
        return self

    @classmethod
    def sum_over_labels(cls, log_prior: np.ndarray, estimates: Sequence[Self], n_draws: int) -> Self:
        """Return the estimate of log p(x) = log sum_y p(y) p(x|y) from those of log p(x|y), one for each label.

        The labels share their draws, so that errors may add up: the standard error is an upper bound, the sum of the
        labels' errors with weights p(y|x), and the effective sample size is computed from it. ``pareto_k`` is the
        largest of the labels with p(y|x) of at least 0.01.

        Parameters
        ----------
        log_prior : ndarray of shape (C,)
            log p(y).
        estimates : sequence of LogLikelihoodEstimate
            Estimates of log p(x|y), in the order of the labels.
        n_draws : int
            Number of draws of each estimate.
        """
        value, error, _, k = (np.stack(columns) for columns in zip(*estimates, strict=True))  # (C, N)
        joint = value + log_prior[:, None]
        total = np.logaddexp.reduce(joint, axis=0)
        with np.errstate(invalid="ignore"):  # -inf - -inf for a sample of probability 0
            share = np.exp(joint - total)
        error = np.where(share > 0, share * error, 0.0).sum(axis=0)
        square = np.nan_to_num(error, nan=0.0, posinf=np.inf) ** 2
        tail = np.where(share >= _MIN_PROBA, k, -np.inf).max(axis=0)
        return cls(*(a.astype(value.dtype) for a in (total, error, n_draws / (1 + (n_draws - 1) * square), tail)))


def named_rows(rows: np.ndarray) -> str:
    """Return the first of the indices of rows, in words."""
    more = f" and {len(rows) - _MAX_NAMED} more" if len(rows) > _MAX_NAMED else ""
    return ("row " if len(rows) == 1 else "rows ") + ", ".join(map(str, rows[:_MAX_NAMED])) + more
