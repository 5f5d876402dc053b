"""Initialisation by closed forms: factor analysis of the data, and mixtures of normal distributions of codes."""

from isthmus.initialization.code_mixture import CodeMixture, choose_code_mixture, fit_code_mixture
from isthmus.initialization.factor_analysis import FactorAnalysis
from isthmus.initialization.linear_model import MAX_FACTORS, LinearModel, fit_linear_model
from isthmus.initialization.mixture import NormalMixture

__all__ = [
    "MAX_FACTORS",
    "CodeMixture",
    "FactorAnalysis",
    "LinearModel",
    "NormalMixture",
    "choose_code_mixture",
    "fit_code_mixture",
    "fit_linear_model",
]
