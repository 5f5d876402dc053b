"""Evaluation of models, samples, codes and imputations.

============================  =========================================================================================
log p(x)                      ``log_marginal``, ``log_marginal_estimate`` (with standard errors), ``unreliable``,
                              ``annealed_estimate``, ``sandwich``, ``elbo``, ``laplace_approximation``
latent space                  ``active_units``, ``kl_per_dimension``, ``has_marginals``, ``information``,
                              ``aggregate_mmd``, ``rate_distortion``, ``collapse_report``
generated samples             ``frechet_distance``, ``precision_recall``, ``mmd``, ``nearest_neighbour_test``
codes                         ``trustworthiness``, ``neighbour_accuracy``
missing cells                 ``conditional_mean``, ``conditional_draws``, ``sample_given``, ``crps``,
                              ``interval_coverage``
============================  =========================================================================================
"""

from isthmus.evaluation.aggregate import Information, aggregate_log_prob, aggregate_mmd, information
from isthmus.evaluation.ais import Annealing, Sandwich, annealed_estimate, sandwich
from isthmus.evaluation.calibration import Coverage, crps, interval_coverage
from isthmus.evaluation.codes import neighbour_accuracy, trustworthiness
from isthmus.evaluation.collapse import collapse_report
from isthmus.evaluation.given import sample_given
from isthmus.evaluation.importance import Estimate, log_marginal_estimate, unreliable
from isthmus.evaluation.imputation import conditional_draws, conditional_mean
from isthmus.evaluation.latent import (
    RateDistortion,
    active_units,
    activity,
    has_marginals,
    kl_per_dimension,
    rate_distortion,
)
from isthmus.evaluation.log_marginal import Bound, elbo, log_marginal
from isthmus.evaluation.refinement import laplace_approximation
from isthmus.evaluation.samples import (
    PrecisionRecall,
    TwoSample,
    frechet_distance,
    frechet_normals,
    mmd,
    nearest_neighbour_test,
    precision_recall,
)

__all__ = [
    "Annealing",
    "Bound",
    "Coverage",
    "Estimate",
    "Information",
    "PrecisionRecall",
    "RateDistortion",
    "Sandwich",
    "TwoSample",
    "active_units",
    "activity",
    "aggregate_log_prob",
    "aggregate_mmd",
    "annealed_estimate",
    "collapse_report",
    "conditional_draws",
    "conditional_mean",
    "crps",
    "elbo",
    "frechet_distance",
    "frechet_normals",
    "has_marginals",
    "information",
    "interval_coverage",
    "kl_per_dimension",
    "laplace_approximation",
    "log_marginal",
    "log_marginal_estimate",
    "mmd",
    "nearest_neighbour_test",
    "neighbour_accuracy",
    "precision_recall",
    "rate_distortion",
    "sample_given",
    "sandwich",
    "trustworthiness",
    "unreliable",
]
