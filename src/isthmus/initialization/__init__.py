"""Initialisation by closed forms: factor analysis of the data, and a mixture of normal distributions of its codes."""

from isthmus.initialization.factor_analysis import FactorAnalysis
from isthmus.initialization.linear_model import MAX_FACTORS, LinearModel, fit_linear_model
from isthmus.initialization.mixture import NormalMixture

__all__ = ["MAX_FACTORS", "FactorAnalysis", "LinearModel", "NormalMixture", "fit_linear_model"]
