"""The pictures of the demo's page: a function for each, of the measured models and a theme."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus import plots
from isthmus.demo.digits import Array, Digits
from isthmus.demo.metrics import pca_reconstruction
from isthmus.demo.models import Trained
from isthmus.demo.results import Measured
from isthmus.demo.theme import Theme, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Gallery"]

_INK = (0.0, 16.0)  # grey levels of the digits


class Gallery:
    """The pictures, each a method from a theme to a figure.

    Parameters
    ----------
    digits : Digits
        The rows.
    trained : Trained
        The models.
    measured : Measured
        What was measured of them.
    """

    def __init__(self, digits: Digits, trained: Trained, measured: Measured) -> None:
        self.digits, self.trained, self.measured = digits, trained, measured
        self.models = trained.models
        # One test row of every class in order, then some more: the same rows in all pictures.
        first = [int(np.flatnonzero(digits.y_test == k)[0]) for k in range(10)]
        more = [i for i in range(len(digits.test)) if i not in first]
        self.chosen = [*first, *more[:4]]

    @cached_property
    def stretches(self) -> dict[str, Array]:
        """The mean singular values of df/dx, largest first, by model."""
        slopes = self.measured.jacobians
        return {name: np.linalg.svd(slope, compute_uv=False).mean(axis=0) for name, slope in slopes.items()}

    def restored_lines(self, rows: list[int]) -> dict[str, Array]:
        """Return test rows, what the autoencoder restores of them, and what PCA restores, as named lines of images."""
        X, model = self.digits.test[rows], self.models["autoencoder"]
        pca = pca_reconstruction(model.n_components, self.digits.train, X)
        return {"test digit": X, f"{model.n_components} numbers": model.reconstruct(X), "PCA": pca}

    def denoised_lines(self, rows: list[int]) -> dict[str, Array]:
        """Return noisy test rows, and what the plain and the denoising autoencoder make of them."""
        noisy = self.digits.noisy[rows]
        plain, denoising = (self.models[name].reconstruct(noisy) for name in ("autoencoder", "denoising"))
        return {"with noise": noisy, "plain": plain, "denoising": denoising}

    def reconstructions(self, theme: Theme) -> Figure:
        """Test digits, what the autoencoder restores of them, and what PCA restores."""
        return self._lines(self.restored_lines(self.chosen), theme)

    def denoised(self, theme: Theme) -> Figure:
        """Clean test digits, the same with noise, and what two models make of the noisy ones."""
        clean = {"test digit": self.digits.test[self.chosen]}
        return self._lines(clean | self.denoised_lines(self.chosen), theme)

    def _lines(self, lines: dict[str, Array], theme: Theme) -> Figure:
        drawn = figure(9.2, 0.62 * len(lines))
        plots.image_rows(lines, limits=_INK, cmap=theme.ink, ax=drawn.subplots())
        return drawn

    def features(self, theme: Theme) -> Figure:  # noqa: ARG002 - all pictures have one signature
        """All units of the sparse model, those that are used most first."""
        used = (self.models["sparse"].transform(self.digits.train) != 0).mean(axis=0)
        drawn = figure(9.2, 2.4)
        plots.features(self.models["sparse"], order=np.argsort(-used).tolist(), n_columns=16, ax=drawn.subplots())
        return drawn

    def growing(self, rows: list[int], counts: list[int]) -> Array:
        """Return each test row and its restorations from so many of its active units, (n, 1 + counts, D)."""
        model, X = self.models["sparse"], self.digits.test[rows]
        steps = [_growing(model, code)[counts] for code in model.transform(X)]
        return np.stack([np.concatenate([row[None], step]) for row, step in zip(X, steps, strict=True)])

    def sums(self, theme: Theme) -> Figure:
        """Some digits, each growing from the mean as its active units are added, the strongest first."""
        lines = self.growing(self.chosen[2:8], list(range(self.models["sparse"].k + 1)))
        n = lines.shape[1]
        drawn = figure(7.4, 4.6)
        ax = drawn.subplots()
        plots.images(lines.reshape(-1, lines.shape[2]), n_columns=n, limits=_INK, cmap=theme.ink, ax=ax)
        ax.xaxis.tick_top()
        names = ["digit", "mean", "+ 1 unit", *(f"+ {k}" for k in range(2, n - 1))]
        ax.set_xticks([9 * k + 3.5 for k in range(n)], names)  # tiles of 8 pixels with a gap of 1
        return drawn

    def contraction(self, theme: Theme) -> Figure:
        """How far the code moves when the row does, with the penalty and without."""
        drawn = figure(9.2, 3.1)
        left, right = drawn.subplots(1, 2)
        self.norms(theme, left)
        for name, color in (("plain", theme.other), ("contractive", theme.accent)):
            stretch = self.stretches[name]
            right.plot(np.arange(1, len(stretch) + 1), stretch, color=color, label=name, lw=2)
        _frame(left, "The whole Jacobian", "||df/dx|| at a test digit", "test digits")
        _frame(right, "Its directions, each on its own", "direction, the most stretched first", "stretch")
        return drawn

    def norms(self, theme: Theme, ax: Axes) -> None:
        """Draw the histograms of the Jacobian's norm, with the penalty and without."""
        norms = {name: np.linalg.norm(slope, axis=(1, 2)) for name, slope in self.measured.jacobians.items()}
        bins = np.histogram_bin_edges(np.concatenate(list(norms.values())), 40).tolist()
        for name, color in (("plain", theme.other), ("contractive", theme.accent)):
            ax.hist(norms[name], bins=bins, color=color, alpha=0.75, label=name)

    def samples(self, theme: Theme) -> Figure:
        """Test digits, rows drawn from p(x), and decoder means at codes drawn from the prior."""
        model, n = self.models["vae"], 30
        rng = np.random.default_rng(0)
        real = self.digits.smooth_test[rng.choice(len(self.digits.test), n, replace=False)]
        means = model.inverse_transform(rng.standard_normal((n, model.n_components)))
        drawn = figure(9.2, 2.85)
        drawn.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr, call-arg]
        for ax, rows, title in zip(
            drawn.subplots(1, 3),
            (real, model.sample(n, random_state=0), means),
            ("Test digits + U(0, 1)", "Drawn: x ~ p(x)", "Drawn: z ~ p(z), its mean f(z)"),
            strict=True,
        ):
            plots.images(rows, n_columns=6, limits=(0, 17), cmap=theme.ink, ax=ax)
            ax.set_title(title)
        return drawn

    def densities(self, theme: Theme) -> Figure:
        """How probable the test rows are under the VAE and under its rivals."""
        drawn = figure(9.2, 2.7)
        ax = drawn.subplots()
        values = {"VAE": self.measured.log_p} | {other.name: other.log_p for other in self.measured.densities}
        low = min(float(np.quantile(v, 0.01)) for v in values.values())
        bins = np.linspace(low, max(float(v.max()) for v in values.values()), 45).tolist()
        colors = (theme.accent, theme.other, theme.third)
        for (name, log_p), color in zip(values.items(), colors, strict=True):
            label = f"{name}: mean {log_p.mean():.1f}"
            ax.hist(log_p, bins=bins, histtype="stepfilled", color=color, alpha=0.35)
            ax.hist(log_p, bins=bins, histtype="step", color=color, lw=1.8, label=label)
        _frame(ax, "", "log p(x) of a test digit, nats", "test digits")
        return drawn

    def plane(self, theme: Theme) -> Figure:
        """The codes of a VAE with two latent units, and what its decoder makes of the plane."""
        drawn = figure(9.2, 4.5)
        left, right = drawn.subplots(1, 2)
        plots.latent_plane(self.trained.plane.transform(self.digits.test), self.digits.y_test, ax=left)
        left.set_title("Where test digits lie: posterior means")
        plots.decoded_plane(self.trained.plane, n=14, limits=_INK, cmap=theme.ink, ax=right)
        right.set_title("What the decoder makes of the plane")
        return drawn

    def by_class(self, theme: Theme) -> Figure:
        """Rows drawn class by class, and one code decoded as every class."""
        model = self.models["conditional_vae"]
        drawn = figure(9.2, 4.6)
        left, right = drawn.subplots(1, 2)
        asked = np.repeat(model.classes_, 10)
        drawn_rows = model.sample(100, y=asked, random_state=0)
        codes = np.random.default_rng(3).standard_normal((10, model.n_components))
        same_style = model.inverse_transform(np.tile(codes, (10, 1)), asked)
        for ax, rows, title in (
            (left, drawn_rows, "Drawn: each line asked for one digit"),
            (right, same_style, "Decoded: each column is one code z"),
        ):
            lines = {str(label): rows[asked == label] for label in model.classes_}
            plots.image_rows(lines, limits=_INK, cmap=theme.ink, ax=ax)
            ax.set_title(title)
        return drawn

    def curves(self, theme: Theme) -> Figure:  # noqa: ARG002 - all pictures have one signature
        """Training curves of the six."""
        drawn = figure(9.2, 4.8)
        for ax, model in zip(drawn.subplots(2, 3).flat, self.models.values(), strict=True):
            terms = [name for name in ("loss", "reconstruction", "kl", "contraction") if name in model.history_[0]]
            plots.history(model.history_, terms=terms if len(terms) > 2 else terms[:1], ax=ax)
            ax.set_title(type(model).__name__)
        return drawn


def _growing(model: Any, code: Array) -> Array:
    """Return the decoder's output for no unit, the strongest one, the strongest two ... all k of them, (k + 1, D)."""
    order = np.argsort(-np.abs(code))[: model.k]
    partial = np.zeros((model.k + 1, len(code)))
    for n in range(1, model.k + 1):
        partial[n, order[:n]] = code[order[:n]]
    return np.asarray(model.inverse_transform(partial))


def _frame(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylim(0, 1.2 * ax.get_ylim()[1])  # room for the legend
    ax.legend(frameon=False)
