"""The results of an assessment, as named numbers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from isthmus.assessment._text import as_html

__all__ = [
    "AnnealingResult",
    "Assessment",
    "CodeResult",
    "ColumnResult",
    "ImputationResult",
    "LatentResult",
    "LikelihoodResult",
    "Mean",
    "ReconstructionResult",
    "SampleResult",
]

Array = np.ndarray

LEVELS = tuple(k / 10 for k in range(1, 10))  # of the intervals of imputations


class Mean(NamedTuple):
    """A mean over samples with its standard error."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: Array) -> Mean:
        """Return the mean of `values` (N,); the standard error of a single value is NaN."""
        values = np.asarray(values, dtype=np.float64)
        error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return cls(float(values.mean()), float(error))


class LikelihoodResult(NamedTuple):
    """log p(x) and the ELBO, in nats per sample and in the data's units.

    Attributes
    ----------
    quantity : str
        "log p(x)", or "log p(x|y)" where y was given.
    log_px : Mean
        The importance-weighted estimate.
    n_draws : int
        Draws per sample.
    median_effective_draws : float
        Median over samples of the effective sample size.
    unreliable : list of int
        Indices of samples whose estimate is unreliable, and usually too low.
    elbo : Mean
        -(distortion + rate), a lower bound of log p(x).
    distortion : float
        Mean of E_q[-log p(x|z)].
    rate : float
        Mean of KL(q(z|x) || p(z)).
    """

    quantity: str
    log_px: Mean
    n_draws: int
    median_effective_draws: float
    unreliable: list[int]
    elbo: Mean
    distortion: float
    rate: float


class AnnealingResult(NamedTuple):
    """Annealed importance sampling (AIS) of a few samples, in nats per sample.

    Attributes
    ----------
    indices : list of int
        The samples, drawn at random.
    log_px : Mean
        log p(x) by annealing.
    difference : Mean
        That value minus the importance-weighted one.
    bound_gap : Mean
        Upper minus lower bound of log p(x) on as many samples drawn from the model (bidirectional Monte Carlo).
    """

    indices: list[int]
    log_px: Mean
    difference: Mean
    bound_gap: Mean


class LatentResult(NamedTuple):
    """Use of the latent units; divergences and mutual information in nats per sample.

    Attributes
    ----------
    active_units, n_units : int
        Units whose posterior mean varies between samples, and all units.
    activity : list of float
        Variance of each unit's posterior mean between samples; a unit is active above 0.01.
    kl_per_unit : list of float or None
        Mean divergence of each unit from its marginal prior; None for flows, whose marginals are not known. See
        :func:`isthmus.evaluation.kl_per_dimension`.
    mutual_information, mutual_information_upper : float
        Lower and upper bound of the information that codes carry about samples; the rate is the largest upper bound.
    max_mutual_information : float
        log N, the largest value that N samples can show.
    aggregate_kl : float or None
        KL(q(z) || p(z)) of the aggregate posterior.
    aggregate_mmd : float or None
        Squared MMD between q(z) and p(z); None where the prior depends on a condition.
    report : str
        A text on unused units, their cost in nats, and what to try.
    """

    active_units: int
    n_units: int
    activity: list[float]
    kl_per_unit: list[float] | None
    mutual_information: float
    mutual_information_upper: float
    max_mutual_information: float
    aggregate_kl: float | None
    aggregate_mmd: float | None
    report: str


class ColumnResult(NamedTuple):
    """The reconstruction of one column.

    Attributes
    ----------
    name : str
        Name of the column.
    negative_log_likelihood : float
        Mean of -log p(x_d|code), in nats.
    error, baseline : float
        Root mean squared error in the column's units (days for times), and that of the column's mean. For categories,
        the share of wrong levels, and that of the most frequent level.
    kind : {"number", "category"}
        Which of both.
    """

    name: str
    negative_log_likelihood: float
    error: float
    baseline: float
    kind: str

    @property
    def explained(self) -> float:
        """Share of the baseline's error that is explained, of variance or wrong levels; NaN if there is no error."""
        if not self.baseline > 0:
            return math.nan
        return 1 - (self.error / self.baseline) ** (1 if self.kind == "category" else 2)


class ReconstructionResult(NamedTuple):
    """Reconstructions from the codes.

    Attributes
    ----------
    score : Mean
        log p(x|code), in nats per sample.
    mse : float or None
        Mean squared error per cell, in the data's units; None for tables, whose columns have different units.
    explained_variance : float
        Share of the variance about the column means that reconstructions keep; for tables, the mean over columns of
        this share, or of the share of wrong levels that is avoided.
    columns : list of ColumnResult
        All columns with an observed cell, those with the largest negative log-likelihood first.
    """

    score: Mean
    mse: float | None
    explained_variance: float
    columns: list[ColumnResult]


class SampleResult(NamedTuple):
    """Samples drawn from the model compared with as many rows of the data.

    Attributes
    ----------
    n_samples : int
        Number of samples in each of the two sets.
    frechet_distance : float
        Squared Frechet distance between the sets.
    frechet_reference : float
        The same distance between two sets drawn from one normal distribution: its value due to chance alone.
    precision, recall : float
        Share of draws that lie among the data, and of data that lie among the draws.
    mmd : float or None
        Squared maximum mean discrepancy; None where most rows are equal.
    two_sample_accuracy : float
        Accuracy of a nearest-neighbour classifier of data and draws: 0.5 if they are alike.
    """

    n_samples: int
    frechet_distance: float
    frechet_reference: float
    precision: float
    recall: float
    mmd: float | None
    two_sample_accuracy: float


class CodeResult(NamedTuple):
    """How well codes preserve neighbourhoods.

    Attributes
    ----------
    n_samples : int
        Number of complete samples that were compared.
    trustworthiness : float
        1 if the neighbours of each code are neighbours in the data.
    neighbour_accuracy : float or None
        Accuracy of labels predicted from the five nearest codes; None without labels.
    neighbour_accuracy_in_data : float or None
        The same from the five nearest samples.
    """

    n_samples: int
    trustworthiness: float
    neighbour_accuracy: float | None
    neighbour_accuracy_in_data: float | None


class ImputationResult(NamedTuple):
    """Hidden cells compared with their imputations, in standard deviations of the data.

    Attributes
    ----------
    n_hidden : int
        Number of cells that were hidden.
    rmse, rmse_of_column_means : float or None
        Root mean squared error of ``impute``, and of filling in column means; None without columns of numbers.
    crps, coverage_50, coverage_90 : float or None
        Continuous ranked probability score of multiple imputations, and the share of cells inside their central 50 %
        and 90 % intervals; None for models without a density.
    accuracy, accuracy_of_most_frequent : float or None
        Share of hidden levels that ``impute`` finds, and that the most frequent level of each column finds; None
        without categories.
    n_levels : int
        Number of hidden cells that are levels of categories.
    coverage : list of float
        Share of the cells inside the central 10 %, 20 %, ..., 90 % intervals; empty for models without a density.
    """

    n_hidden: int
    rmse: float | None
    rmse_of_column_means: float | None
    crps: float | None
    coverage_50: float | None
    coverage_90: float | None
    accuracy: float | None = None
    accuracy_of_most_frequent: float | None = None
    n_levels: int = 0
    coverage: list[float] = []


class Assessment(NamedTuple):
    """All metrics of one model, as returned by :func:`assess`; None if not applicable or not requested."""

    model: str
    n_samples: int
    likelihood: LikelihoodResult | None
    annealing: AnnealingResult | None
    latent: LatentResult | None
    reconstruction: ReconstructionResult
    samples: SampleResult | None
    codes: CodeResult | None
    imputation: ImputationResult | None

    def _repr_html_(self) -> str:
        """Return what ``isthmus evaluate`` prints, for notebooks."""
        return as_html(self)
