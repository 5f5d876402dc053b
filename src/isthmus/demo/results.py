"""The table of the demo: a row for each model, measured; and everything that the pictures draw besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.demo import metrics
from isthmus.demo.digits import Array, Digits
from isthmus.demo.metrics import Density, mse
from isthmus.demo.models import Trained

__all__ = ["CAPTION", "Measured", "Row", "cells", "measure", "table"]


# What a model is good at, its number, the numbers beside it, and how they are written.
_Good = tuple[str, float, dict[str, float], str]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes
    ----------
    key, model : str
        The name of the model's file, and of its class.
    n_components : int
        K.
    error, pca_error : float
        Mean squared error of a pixel of the test rows, and PCA's.
    pca_components : int
        With how many components: K, or the units that are active at a time.
    good_at : str
        What the model is good at.
    value : float
        It in one number.
    beside : dict of str to float
        The numbers to compare that with.
    form : str
        How the numbers are written, a format.
    """

    key: str
    model: str
    n_components: int
    error: float
    pca_error: float
    pca_components: int
    good_at: str
    value: float
    beside: dict[str, float]
    form: str = "{:.2f}"

    @property
    def value_text(self) -> str:
        """The number, written."""
        return self.form.format(self.value)

    @property
    def beside_text(self) -> str:
        """The numbers beside it, written."""
        return ", ".join(f"{name} {self.form.format(value)}" for name, value in self.beside.items())


@dataclass(frozen=True)
class Measured:
    """The rows, and what was measured for them.

    Attributes
    ----------
    rows : dict of str to Row
        By the name of the model's file.
    jacobians : dict of str to ndarray of shape (N, K, D)
        df/dx at the test rows, by model.
    log_p : ndarray of shape (N,)
        The VAE's log p(x) of the test rows.
    densities : list of Density
        What it is compared with.
    dead : int
        Units of the sparse model that no training row switches on.
    accuracy, judge_accuracy : float
        Share of the test rows that the conditional VAE's ``predict``, and the judge, read rightly.
    """

    rows: dict[str, Row]
    jacobians: dict[str, Array]
    log_p: Array
    densities: list[Density]
    dead: int
    accuracy: float
    judge_accuracy: float


def measure(digits: Digits, trained: Trained, random_state: int, *, thorough: bool = True) -> Measured:
    """Measure all models on the test rows; unless `thorough`, their rivals are given few chances."""
    models = trained.models
    active, dead = metrics.activity(models["sparse"], digits.train, digits.test)
    slopes = {
        "plain": metrics.jacobians(models["autoencoder"], digits.test),
        "contractive": metrics.jacobians(models["contractive"], digits.test),
    }
    log_p = models["vae"].score_samples(digits.smooth_test)
    rivals = (metrics.mixture, metrics.factor_analysis)
    few: dict[str, Any] = {} if thorough else {"sizes": (2, 4)}
    densities = [rival(digits.smooth_train, digits.smooth_test, random_state, **few) for rival in rivals]
    share, readers = _conditional(digits, models["conditional_vae"], random_state)
    norm, plain = _mean_norms(slopes)
    goods = {
        "sparse": ("active units of 64", active, {"dead": float(dead)}, "{:.4g}"),
        "contractive": ("mean ||df/dx||", norm, plain, "{:.3f}"),
        "vae": ("log p(x), nats a digit", float(log_p.mean()), _means(densities), "{:.1f}"),
        "conditional_vae": ("digits drawn as asked for", share, readers, "{:.1%}"),
        "autoencoder": _compression(digits, models["autoencoder"]),
        "denoising": _denoising(digits, models),
    }
    rows = {key: _row(digits, key, model, goods[key]) for key, model in models.items()}
    return Measured(rows, slopes, log_p, densities, dead, *readers.values())


def _row(digits: Digits, key: str, model: Any, good: _Good) -> Row:
    smooth = key == "vae"
    train, test = (digits.smooth_train, digits.smooth_test) if smooth else (digits.train, digits.test)
    n = round(good[1]) if key == "sparse" else model.n_components
    # float32: without y the conditional model averages over 10 classes with 100 draws each.
    error = mse(model.reconstruct(test.astype(np.float32)), test)
    pca_error = mse(metrics.pca_reconstruction(max(1, n), train, test), test)
    return Row(key, type(model).__name__, model.n_components, error, pca_error, max(1, n), *good)


def _compression(digits: Digits, model: Any) -> _Good:
    kept = metrics.kept_variance(model.reconstruct(digits.test), digits.test, digits.train)
    pca = metrics.pca_reconstruction(model.n_components, digits.train, digits.test)
    beside = {"PCA": metrics.kept_variance(pca, digits.test, digits.train)}
    return f"variance kept by {model.n_components} numbers", kept, beside, "{:.1%}"


def _denoising(digits: Digits, models: dict[str, Any]) -> _Good:
    pca = metrics.pca_reconstruction(models["denoising"].n_components, digits.train, digits.noisy)
    beside = {
        "plain": mse(models["autoencoder"].reconstruct(digits.noisy), digits.test),
        "PCA": mse(pca, digits.test),
        "noise": mse(digits.noisy, digits.test),
    }
    error = mse(models["denoising"].reconstruct(digits.noisy), digits.test)
    return "error left on noisy digits", error, beside, "{:.2f}"


def _mean_norms(slopes: dict[str, Array]) -> tuple[float, dict[str, float]]:
    norm = {name: float(np.linalg.norm(slope, axis=(1, 2)).mean()) for name, slope in slopes.items()}
    return norm["contractive"], {"plain": norm["plain"]}


def _means(densities: list[Density]) -> dict[str, float]:
    return {density.name: float(density.log_p.mean()) for density in densities}


def _conditional(digits: Digits, model: Any, random_state: int) -> tuple[float, dict[str, float]]:
    """Return the share drawn as asked for, and what `predict` and the judge of that share read rightly."""
    from sklearn.svm import SVC

    judge = SVC(gamma=0.001).fit(digits.train, digits.y_train)
    accuracy = float(np.mean(model.predict(digits.test.astype(np.float32)) == digits.y_test))
    share = metrics.share_as_asked(model, judge, 100, random_state)
    return share, {"predict is right on": accuracy, "SVC on": float(judge.score(digits.test, digits.y_test))}


CAPTION = """\
MSE: mean squared error of a pixel (grey levels 0 to 16) on test digits; PCA: its error with as many components (for
the sparse model: as many as units are active at a time). ||df/dx|| is in units of the code's own spread. VAE,
GaussianMixture and FactorAnalysis see x + U(0, 1) noise, so that constant and whole-numbered pixels have a finite
density; the latter two have the settings that are best on held-out training digits. ConditionalVAE: 100 draws of each
digit, judged by a support vector classifier trained on real digits; predict and the SVC read real test digits.
"""


def cells(measured: Measured) -> list[tuple[str, ...]]:
    """Return the table's lines as text, without its head."""
    return [
        (
            row.model,
            str(row.n_components),
            f"{row.error:.2f}",
            f"{row.pca_error:.2f}",
            row.good_at,
            row.value_text,
            row.beside_text,
        )
        for row in measured.rows.values()
    ]


def table(measured: Measured) -> str:
    """Return the table with its caption as plain text."""
    lines = [("model", "K", "MSE", "PCA", "good at", "in a number", "beside it"), *cells(measured)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = (0, 4, 6)  # the other columns are numbers
    aligned = [
        [cell.ljust(w) if i in text else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    ]
    return "\n".join("  ".join(line).rstrip() for line in aligned) + "\n\n" + CAPTION
