"""Evaluation: how good a model is, in numbers that can be believed."""

from isthmus.evaluation.imputation import conditional_draws, conditional_mean
from isthmus.evaluation.log_marginal import Bound, elbo, log_marginal

__all__ = ["Bound", "conditional_draws", "conditional_mean", "elbo", "log_marginal"]
