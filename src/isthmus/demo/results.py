"""The results of the demo: one row of numbers per model, and the further data of the figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isthmus.demo import metrics
from isthmus.demo.digits import Array, Digits
from isthmus.demo.metrics import DensityBaseline, mse
from isthmus.demo.models import TrainedModels

__all__ = ["CAPTION", "HEADER", "ModelResult", "Results", "compute_results", "format_table", "table_cells"]


class Strength(NamedTuple):
    """The metric in which a model is strongest.

    Attributes
    ----------
    name : str
        What is measured.
    value : float
        The number.
    comparison : dict of str to float
        The same of other models.
    format : str
        How to format the numbers.
    """

    name: str
    value: float
    comparison: dict[str, float]
    format: str

    @property
    def text(self) -> str:
        """Return the formatted number."""
        return self.format.format(self.value)

    @property
    def comparison_text(self) -> str:
        """Return the formatted numbers of the comparison."""
        return ", ".join(f"{name} {self.format.format(value)}" for name, value in self.comparison.items())


@dataclass(frozen=True)
class ModelResult:
    """A row of the table.

    Attributes
    ----------
    key, model : str
        The name of the model's file, and of its class.
    n_components : int
        Number of latent units.
    error, pca_error : float
        Mean squared error per pixel on test samples, and that of PCA.
    pca_components : int
        Components of PCA: as many as the model has units, or has active at a time.
    strength : Strength
        What the model is good at.
    """

    key: str
    model: str
    n_components: int
    error: float
    pca_error: float
    pca_components: int
    strength: Strength


@dataclass(frozen=True)
class Results:
    """The results of all models.

    Attributes
    ----------
    models : dict of str to ModelResult
        By the names of the models' files.
    jacobians : dict of str to ndarray of shape (N, K, D)
        Jacobians of the encoder at test samples, for two models.
    log_p : ndarray of shape (N,)
        The VAE's log p(x) of test samples.
    baselines : list of DensityBaseline
        Density models of scikit-learn on the same samples.
    n_unused : int
        Units of the sparse model that are 0 for all training samples.
    accuracy, classifier_accuracy : float
        Accuracy on test samples of the conditional VAE's ``predict``, and of the classifier that judges its samples.
    """

    models: dict[str, ModelResult]
    jacobians: dict[str, Array]
    log_p: Array
    baselines: list[DensityBaseline]
    n_unused: int
    accuracy: float
    classifier_accuracy: float


def compute_results(digits: Digits, trained: TrainedModels, random_state: int, *, thorough: bool = True) -> Results:
    """Compute all metrics on test samples; unless `thorough`, the baselines try few settings."""
    models = trained.models
    active, n_unused = metrics.active_units(models["sparse"], digits.train, digits.test)
    jacobians = {
        "plain": metrics.encoder_jacobians(models["autoencoder"], digits.test),
        "contractive": metrics.encoder_jacobians(models["contractive"], digits.test),
    }
    norms = {name: float(np.linalg.norm(slopes, axis=(1, 2)).mean()) for name, slopes in jacobians.items()}
    log_p = models["vae"].score_samples(digits.dequantized_test)
    few: dict[str, Any] = {} if thorough else {"sizes": (2, 4)}
    baselines = [
        fit(digits.dequantized_train, digits.dequantized_test, random_state, **few)
        for fit in (metrics.gaussian_mixture, metrics.factor_analysis)
    ]
    means = {baseline.name: float(baseline.log_p.mean()) for baseline in baselines}
    as_asked, accuracies = _conditional_accuracies(digits, models["conditional_vae"], random_state)
    strengths = {
        "autoencoder": _compression(digits, models["autoencoder"]),
        "sparse": Strength("active units of 64", active, {"never active": float(n_unused)}, "{:.4g}"),
        "denoising": _denoising(digits, models),
        "contractive": Strength("mean ||df/dx||", norms["contractive"], {"plain": norms["plain"]}, "{:.3f}"),
        "vae": Strength("log p(x), nats per digit", float(log_p.mean()), means, "{:.1f}"),
        "conditional_vae": Strength("samples of the right class", as_asked, accuracies, "{:.1%}"),
    }
    rows = {key: _model_result(digits, key, model, strengths[key]) for key, model in models.items()}
    return Results(rows, jacobians, log_p, baselines, n_unused, *accuracies.values())


def _model_result(digits: Digits, key: str, model: Any, strength: Strength) -> ModelResult:
    train, test = digits.train, digits.test
    if key == "vae":
        train, test = digits.dequantized_train, digits.dequantized_test
    n_pca = max(1, round(strength.value)) if key == "sparse" else model.n_components
    # float32, because the conditional model averages over 10 classes with 100 draws each
    error = mse(model.reconstruct(test.astype(np.float32)), test)
    pca_error = mse(metrics.pca_reconstruction(n_pca, train, test), test)
    return ModelResult(key, type(model).__name__, model.n_components, error, pca_error, n_pca, strength)


def _compression(digits: Digits, model: Any) -> Strength:
    own = metrics.explained_variance(model.reconstruct(digits.test), digits.test, digits.train)
    pca = metrics.pca_reconstruction(model.n_components, digits.train, digits.test)
    comparison = {"PCA": metrics.explained_variance(pca, digits.test, digits.train)}
    return Strength(f"explained variance, {model.n_components} units", own, comparison, "{:.1%}")


def _denoising(digits: Digits, models: dict[str, Any]) -> Strength:
    pca = metrics.pca_reconstruction(models["denoising"].n_components, digits.train, digits.noisy)
    comparison = {
        "plain": mse(models["autoencoder"].reconstruct(digits.noisy), digits.test),
        "PCA": mse(pca, digits.test),
        "noisy input": mse(digits.noisy, digits.test),
    }
    return Strength(
        "MSE on noisy digits", mse(models["denoising"].reconstruct(digits.noisy), digits.test), comparison, "{:.2f}"
    )


def _conditional_accuracies(digits: Digits, model: Any, random_state: int) -> tuple[float, dict[str, float]]:
    """Return the share of samples of the requested class, and the accuracies of `predict` and of the classifier."""
    from sklearn.svm import SVC

    classifier = SVC(gamma=0.001).fit(digits.train, digits.y_train)
    accuracy = float(np.mean(model.predict(digits.test.astype(np.float32)) == digits.y_test))
    as_asked = metrics.conditional_accuracy(model, classifier, 100, random_state)
    return as_asked, {"accuracy of predict": accuracy, "of SVC": float(classifier.score(digits.test, digits.y_test))}


HEADER = ("Model", "K", "MSE", "PCA", "Metric", "Value", "For comparison")
CAPTION = """\
K: latent units. MSE: mean squared error per pixel (grey levels 0 to 16) on test digits. PCA: its MSE with K components
(for the sparse model, with as many as it has active units). ||df/dx|| is relative to the spread of the codes. VAE,
GaussianMixture and FactorAnalysis are fitted to x + U(0, 1), so that integer and constant pixels have a finite density;
the settings of the latter two are selected on held-out training digits. ConditionalVAE: 100 samples per class, judged
by a support vector classifier (SVC) trained on real digits; the accuracies are on real test digits.
"""


def table_cells(results: Results) -> list[tuple[str, ...]]:
    """Return the rows of the table as text."""
    return [
        (
            row.model,
            str(row.n_components),
            f"{row.error:.2f}",
            f"{row.pca_error:.2f}",
            row.strength.name,
            row.strength.text,
            row.strength.comparison_text,
        )
        for row in results.models.values()
    ]


def format_table(results: Results) -> str:
    """Return the table with its caption as plain text."""
    lines = [HEADER, *table_cells(results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left_aligned = (0, 4, 6)
    padded = [
        [
            cell.ljust(width) if i in left_aligned else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    return "\n".join("  ".join(line).rstrip() for line in padded) + "\n\n" + CAPTION
