"""What the demo's page says of each model: the notes' words, the formula, and what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from isthmus.demo.page import Section
from isthmus.demo.theme import Picture, draw

if TYPE_CHECKING:
    from isthmus.demo.figures import Gallery
    from isthmus.demo.results import Measured, Row

__all__ = ["sections"]


def sections(gallery: Gallery, measured: Measured) -> list[Section]:
    """Return the page's sections, in the notes' order."""
    writers = (_autoencoder, _sparse, _denoising, _contractive, _vae, _conditional)
    made = [writer(gallery, measured, row) for writer, (_, row) in zip(writers, measured.rows.items(), strict=True)]
    return [*made, _training(gallery)]


def _autoencoder(gallery: Gallery, _measured: Measured, row: Row) -> Section:
    K = row.n_components
    return Section(
        row.key,
        "Autoencoder",
        "L(x, g(f(x)))",
        "A network that learns to output its own input. An exact copy would be useless, so the code f(x) in its middle "
        f"is narrow: {K} numbers for 64 pixels. The trade-off is between a low-dimensional representation and a small "
        f"reconstruction error: {row.error:.2f} a pixel here, {row.pca_error:.2f} for PCA with {K} components.",
        [
            draw(
                gallery.reconstructions,
                f"Test digits, their reconstructions from {K} numbers, and PCA's.",
                "Test digits above, what is left of them after the isthmus below. The first of each class, not "
                "the best.",
            )
        ],
    )


def _sparse(gallery: Gallery, measured: Measured, row: Row) -> Section:
    return Section(
        row.key,
        "Sparse autoencoder",
        "L(x, g(f(x))) + Ω(h)",
        f"Many units, few of them active at a time: {row.value_text} of {row.n_components} for a digit, and "
        f"{measured.dead} that none uses. Each digit chooses its own few, which leaves an error of {row.error:.2f}; "
        f"the same {row.pca_components} directions for all digits, PCA's, leave {row.pca_error:.2f}.",
        [
            draw(
                gallery.sums,
                "Six digits that grow from the mean digit as their active units are added one by one.",
                "A digit is the mean plus its active units: added one by one, the strongest first.",
            ),
            draw(
                gallery.features,
                f"The decoder's columns for all {row.n_components} units, as images.",
                f"What each of the {row.n_components} units adds (red: ink, blue: paper), the most used first.",
            ),
        ],
    )


def _denoising(gallery: Gallery, _measured: Measured, row: Row) -> Section:
    others = row.beside
    return Section(
        row.key,
        "Denoising autoencoder",
        "E L(x, g(f(x̃))),  x̃ = x + noise",
        "It sees a noisy digit and has to restore the clean one, so it learns to resist perturbations of its input. On "
        f"test digits with noise as strong as their own variation (error {others['noise']:.1f}) it leaves "
        f"{row.value_text}; the plain autoencoder of the same size leaves {others['plain']:.2f}, and "
        f"PCA {others['PCA']:.2f}.",
        [
            draw(
                gallery.denoised,
                "Test digits, the same with noise, and what the plain and the denoising autoencoder restore.",
                "Both models see only the noisy digits of the second line.",
            )
        ],
    )


def _contractive(gallery: Gallery, _measured: Measured, row: Row) -> Section:
    plain = row.beside["plain"]
    return Section(
        row.key,
        "Contractive autoencoder",
        "L(x, g(f(x))) + λ Σᵢ ‖∇ₓ hᵢ‖²",
        "The penalty keeps the derivatives of the code small: it moves little when the digit does. The mean ‖df/dx‖ on "
        f"test digits, in units of the code's own spread, is {row.value_text}, against {plain:.3f} for the plain "
        "autoencoder above, the same network without the penalty.",
        [
            draw(
                gallery.contraction,
                "Histogram of the Jacobian's norm, and its singular values, with the penalty and without.",
                "Left: the norm of df/dx at every test digit. Right: its mean singular values.",
                chart=True,
            )
        ],
    )


def _vae(gallery: Gallery, measured: Measured, row: Row) -> Section:
    rival = measured.densities[0]
    gain = measured.log_p - rival.log_p
    error = float(np.std(gain) / np.sqrt(len(gain)))
    return Section(
        row.key,
        "Variational autoencoder",
        "log P(X) − D[Q(z)‖P(z|X)] = E[log P(X|z)] − D[Q(z)‖P(z)]",
        "A generative model: z is drawn from a standard normal distribution, and P(X|z) from a network. It learns the "
        f"probability of the data: {row.value_text} nats a test digit, {gain.mean():+.1f} ± {error:.1f} against the "
        f"best Gaussian mixture ({_chosen(measured)}; both the best on held-out training digits). All see "
        "pixels + U(0, 1) noise: without it a model gains without bound by a spike on each grey level.",
        _vae_pictures(gallery),
    )


def _vae_pictures(gallery: Gallery) -> list[Picture]:
    return [
        draw(
            gallery.densities,
            "Each model's log p(x) of the same test digits.",
            "Further right is better.",
            chart=True,
        ),
        draw(
            gallery.samples,
            "Test digits, rows drawn from p(x), and decoder means at codes drawn from the prior.",
            "New digits: nobody wrote those in the middle and at the right.",
        ),
        draw(
            gallery.plane,
            "A latent plane with test digits coloured by class, and the plane decoded.",
            "A second VAE with two latent units, trained without the labels.",
            chart=True,
        ),
    ]


def _chosen(measured: Measured) -> str:
    return "; ".join(f"{other.name}: {other.choice}" for other in measured.densities)


def _conditional(gallery: Gallery, measured: Measured, row: Row) -> Section:
    return Section(
        row.key,
        "Conditional VAE",
        "log P(X|y) − D[Q(z)‖P(z|X, y)] = E[log P(X|z, y)] − D[Q(z)‖P(z)]",
        "The same mathematics, given which digit it is. A classifier trained on real digits takes "
        f"{row.value_text} of 1000 drawn digits for what was asked for (of real test digits it reads "
        f"{measured.judge_accuracy:.1%}). Turned around by Bayes' rule, p(y|x) ∝ p(x|y) p(y), the model reads "
        f"{measured.accuracy:.1%} of the test digits.",
        [
            draw(
                gallery.by_class,
                "Digits drawn class by class, and codes decoded as every class.",
                f"{row.n_components} latent units carry the handwriting; the class is given.",
            )
        ],
    )


def _training(gallery: Gallery) -> Section:
    text = (
        "The terms of the loss, in nats a row of the scaled data, summed over pixels. The loss of the autoencoders is "
        "−log p(x|z) with a learned σ, and may be negative; contraction is shown without its weight λ."
    )
    picture = draw(gallery.curves, "The loss of each of the six models by epoch.", "", chart=True)
    return Section("training", "Training", "", text, [picture])
