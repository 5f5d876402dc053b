"""The figures of the report, one function per figure."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus import plots
from isthmus.demo.digits import Array, Digits
from isthmus.demo.metrics import pca_reconstruction
from isthmus.demo.models import TrainedModels
from isthmus.demo.results import Results
from isthmus.report.theme import Theme, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["GREY_LEVELS", "Figures"]

GREY_LEVELS = (0.0, 16.0)


class Figures:
    """The figures, each a method that maps a theme to a figure.

    Parameters
    ----------
    digits : Digits
        The data.
    trained : TrainedModels
        The models.
    results : Results
        Their metrics.
    """

    def __init__(self, digits: Digits, trained: TrainedModels, results: Results) -> None:
        self.digits, self.trained, self.results = digits, trained, results
        self.models = trained.models
        # All figures show the same test samples: the first of each class, then some more.
        first = [int(np.flatnonzero(digits.y_test == k)[0]) for k in range(10)]
        more = [i for i in range(len(digits.test)) if i not in first]
        self.shown = [*first, *more[:4]]

    @cached_property
    def singular_values(self) -> dict[str, Array]:
        """Return the mean singular values of df/dx, in decreasing order, by model."""
        jacobians = self.results.jacobians
        return {name: np.linalg.svd(slopes, compute_uv=False).mean(axis=0) for name, slopes in jacobians.items()}

    def reconstruction_rows(self, indices: list[int]) -> dict[str, Array]:
        """Return test samples and their reconstructions by the autoencoder and by PCA, as rows of images."""
        X, model = self.digits.test[indices], self.models["autoencoder"]
        pca = pca_reconstruction(model.n_components, self.digits.train, X)
        return {"test digit": X, f"{model.n_components} units": model.reconstruct(X), "PCA": pca}

    def denoising_rows(self, indices: list[int]) -> dict[str, Array]:
        """Return noisy test samples and their reconstructions by two models, as rows of images."""
        noisy = self.digits.noisy[indices]
        plain, denoising = (self.models[name].reconstruct(noisy) for name in ("autoencoder", "denoising"))
        return {"with noise": noisy, "plain": plain, "denoising": denoising}

    def reconstructions(self, theme: Theme) -> Figure:
        """Draw test digits and their reconstructions by the autoencoder and by PCA."""
        return self._image_rows(self.reconstruction_rows(self.shown), theme)

    def denoising(self, theme: Theme) -> Figure:
        """Draw clean and noisy test digits, and reconstructions of the noisy ones."""
        clean = {"test digit": self.digits.test[self.shown]}
        return self._image_rows(clean | self.denoising_rows(self.shown), theme)

    def _image_rows(self, rows: dict[str, Array], theme: Theme) -> Figure:
        figure = new_figure(9.2, 0.62 * len(rows))
        plots.image_rows(rows, limits=GREY_LEVELS, cmap=theme.cmap, ax=figure.subplots())
        return figure

    def features(self, theme: Theme) -> Figure:  # noqa: ARG002 - all figures have one signature
        """Draw the features of the sparse model, the most used first."""
        use = (self.models["sparse"].transform(self.digits.train) != 0).mean(axis=0)
        figure = new_figure(9.2, 2.4)
        plots.features(self.models["sparse"], order=np.argsort(-use).tolist(), n_columns=16, ax=figure.subplots())
        return figure

    def partial_sums(self, indices: list[int], counts: list[int]) -> Array:
        """Return test samples and their decodings from the `counts` strongest units, (n, 1 + counts, D)."""
        model, X = self.models["sparse"], self.digits.test[indices]
        steps = [_partial_sums(model, code)[counts] for code in model.transform(X)]
        return np.stack([np.concatenate([sample[None], step]) for sample, step in zip(X, steps, strict=True)])

    def sparse_sums(self, theme: Theme) -> Figure:
        """Draw digits as sums of active units, added one by one, the strongest first."""
        rows = self.partial_sums(self.shown[2:8], list(range(self.models["sparse"].k + 1)))
        n = rows.shape[1]
        figure = new_figure(7.4, 4.6)
        ax = figure.subplots()
        plots.images(rows.reshape(-1, rows.shape[2]), n_columns=n, limits=GREY_LEVELS, cmap=theme.cmap, ax=ax)
        ax.xaxis.tick_top()
        names = ["digit", "mean", "+ 1 unit", *(f"+ {k}" for k in range(2, n - 1))]
        ax.set_xticks([9 * k + 3.5 for k in range(n)], names)  # images of 8 pixels with gaps of 1
        return figure

    def contraction(self, theme: Theme) -> Figure:
        """Draw norms and singular values of the encoder's Jacobian, with the penalty and without."""
        figure = new_figure(9.2, 3.1)
        left, right = figure.subplots(1, 2)
        self.jacobian_norms(theme, left)
        for name, color in (("plain", theme.second), ("contractive", theme.accent)):
            values = self.singular_values[name]
            right.plot(np.arange(1, len(values) + 1), values, color=color, label=name, lw=2)
        _finish(left, "Norm of the Jacobian", "||df/dx|| at a test digit", "test digits")
        _finish(right, "Mean singular values", "index", "singular value")
        return figure

    def jacobian_norms(self, theme: Theme, ax: Axes) -> None:
        """Draw histograms of the norm of the Jacobian, with the penalty and without."""
        norms = {name: np.linalg.norm(slopes, axis=(1, 2)) for name, slopes in self.results.jacobians.items()}
        bins = np.histogram_bin_edges(np.concatenate(list(norms.values())), 40).tolist()
        for name, color in (("plain", theme.second), ("contractive", theme.accent)):
            ax.hist(norms[name], bins=bins, color=color, alpha=0.75, label=name)

    def samples(self, theme: Theme) -> Figure:
        """Draw test digits, samples of p(x), and decoder means at codes drawn from the prior."""
        model, n = self.models["vae"], 30
        rng = np.random.default_rng(0)
        real = self.digits.dequantized_test[rng.choice(len(self.digits.test), n, replace=False)]
        means = model.inverse_transform(rng.standard_normal((n, model.n_components)))
        panels = {
            "Test digits + U(0, 1)": real,
            "Samples x ~ p(x)": model.sample(n, random_state=0),
            "Decoder means at z ~ p(z)": means,
        }
        figure = new_figure(9.2, 2.85)
        figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
        for ax, (title, X) in zip(figure.subplots(1, 3), panels.items(), strict=True):
            plots.images(X, n_columns=6, limits=(0, 17), cmap=theme.cmap, ax=ax)
            ax.set_title(title)
        return figure

    def densities(self, theme: Theme) -> Figure:
        """Draw histograms of log p(x) of test samples, for the VAE and the baselines."""
        figure = new_figure(9.2, 2.7)
        ax = figure.subplots()
        values = {"VAE": self.results.log_p} | {model.name: model.log_p for model in self.results.baselines}
        low = min(float(np.quantile(v, 0.01)) for v in values.values())
        bins = np.linspace(low, max(float(v.max()) for v in values.values()), 45).tolist()
        for (name, log_p), color in zip(values.items(), (theme.accent, theme.second, theme.third), strict=True):
            ax.hist(log_p, bins=bins, histtype="stepfilled", color=color, alpha=0.35)
            ax.hist(log_p, bins=bins, histtype="step", color=color, lw=1.8, label=f"{name}: mean {log_p.mean():.1f}")
        _finish(ax, "", "log p(x) of a test digit, in nats", "test digits", legend="upper left")
        return figure

    def latent_space(self, theme: Theme) -> Figure:
        """Draw the codes of a VAE with two latent units, and decodings of a grid of codes."""
        figure = new_figure(9.2, 4.5)
        left, right = figure.subplots(1, 2)
        plots.latent_plane(self.trained.vae_2d.transform(self.digits.test), self.digits.y_test, ax=left)
        left.set_title("Codes of test digits (posterior means)")
        plots.decoded_plane(self.trained.vae_2d, n=14, limits=GREY_LEVELS, cmap=theme.cmap, ax=right)
        right.set_title("Decodings of a grid of codes")
        return figure

    def class_samples(self, theme: Theme) -> Figure:
        """Draw samples of each class, and codes decoded as each class."""
        model = self.models["conditional_vae"]
        labels = np.repeat(model.classes_, 10)
        codes = np.random.default_rng(3).standard_normal((10, model.n_components))
        panels = {
            "Samples: one class per row": model.sample(100, y=labels, random_state=0),
            "Decodings: one code per column": model.inverse_transform(np.tile(codes, (10, 1)), labels),
        }
        figure = new_figure(9.2, 4.6)
        for ax, (title, X) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            rows = {str(label): X[labels == label] for label in model.classes_}
            plots.image_rows(rows, limits=GREY_LEVELS, cmap=theme.cmap, ax=ax)
            ax.set_title(title)
        return figure

    def training_curves(self, theme: Theme) -> Figure:  # noqa: ARG002 - all figures have one signature
        """Draw the training curves of all models."""
        figure = new_figure(9.2, 4.8)
        for ax, model in zip(figure.subplots(2, 3).flat, self.models.values(), strict=True):
            terms = [name for name in ("loss", "reconstruction", "kl", "contraction") if name in model.history_[0]]
            plots.history(model.history_, terms=terms if len(terms) > 2 else terms[:1], ax=ax)
            ax.set_title(type(model).__name__)
        return figure


def _partial_sums(model: Any, code: Array) -> Array:
    """Return the decodings of no unit, the strongest, the two strongest, ..., all k of them, (k + 1, D)."""
    order = np.argsort(-np.abs(code))[: model.k]
    partial = np.zeros((model.k + 1, len(code)))
    for n in range(1, model.k + 1):
        partial[n, order[:n]] = code[order[:n]]
    return np.asarray(model.inverse_transform(partial))


def _finish(ax: Axes, title: str, xlabel: str, ylabel: str, legend: Any = "upper right") -> None:
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylim(0, 1.2 * ax.get_ylim()[1])  # space for the legend
    ax.legend(frameon=False, loc=legend)  # "best" is slow, and differs between runs
