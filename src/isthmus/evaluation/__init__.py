"""Evaluation: how good a model is, in numbers that can be believed."""

from isthmus.evaluation.log_marginal import Bound, elbo, log_marginal

__all__ = ["Bound", "elbo", "log_marginal"]
