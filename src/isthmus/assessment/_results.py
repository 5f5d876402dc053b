"""What an assessment finds, as named numbers."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = [
    "Annealed",
    "Assessment",
    "Codes",
    "Column",
    "Imputation",
    "Latent",
    "Likelihood",
    "Mean",
    "Restored",
    "Samples",
]

Array = np.ndarray


class Mean(NamedTuple):
    """A mean over rows and its standard error."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: Array) -> Mean:
        """Return the mean of `values` (N,); its error is NaN for one row."""
        values = np.asarray(values, dtype=np.float64)
        error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return cls(float(values.mean()), float(error))


class Likelihood(NamedTuple):
    """log p(x) and its bound, in nats per row of the data's units; ``unreliable`` are indices of rows."""

    quantity: str
    log_px: Mean
    n_draws: int
    median_effective_draws: float
    unreliable: list[int]
    elbo: Mean
    distortion: float
    rate: float


class Annealed(NamedTuple):
    """Annealed importance sampling on a few rows, in nats per row.

    ``above`` is its value less that of importance sampling, ``gap`` the width of the sandwich on rows the model drew.
    """

    rows: list[int]
    log_px: Mean
    above: Mean
    gap: Mean


class Latent(NamedTuple):
    """What the code is used for; divergences and informations in nats per row."""

    active_units: int
    n_units: int
    kl_per_unit: list[float] | None
    mutual_information: float
    mutual_information_upper: float
    largest_possible: float
    aggregate_kl: float
    aggregate_mmd: float | None
    report: str


class Column(NamedTuple):
    """A column, how well it is restored (-log p of a cell in nats, root mean square error) and its own spread."""

    name: str
    nats: float
    rmse: float
    standard_deviation: float


class Restored(NamedTuple):
    """Reconstruction: -log p(x|code) in nats per row, mean squared error of a cell, share of the variance kept."""

    score: Mean
    mse: float
    variance_kept: float
    worst: list[Column]


class Samples(NamedTuple):
    """Samples against as many rows; ``frechet_floor`` is what two such sets of one normal law have."""

    rows: int
    frechet: float
    frechet_floor: float
    precision: float
    recall: float
    mmd: float | None
    two_sample: float


class Codes(NamedTuple):
    """Whether neighbours stay neighbours, and whether they share a label (None without labels)."""

    rows: int
    trustworthiness: float
    neighbour_accuracy: float | None
    neighbour_accuracy_of_rows: float | None


class Imputation(NamedTuple):
    """Hidden cells filled again, in standard deviations of the data; the last three need ``sample_imputations``."""

    hidden: int
    rmse: float
    rmse_of_means: float
    crps: float | None
    coverage_50: float | None
    coverage_90: float | None


class Assessment(NamedTuple):
    """What :func:`assess` found; None where an estimator has no such thing, or rows are too few."""

    model: str
    rows: int
    likelihood: Likelihood | None
    annealed: Annealed | None
    latent: Latent | None
    restored: Restored
    samples: Samples | None
    codes: Codes | None
    imputation: Imputation | None
