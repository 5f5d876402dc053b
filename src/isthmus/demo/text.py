"""The sections of the report: what each model is, its formula, and its results in words."""

from __future__ import annotations

import numpy as np

from isthmus.demo.figures import Figures
from isthmus.demo.results import ModelResult, Results
from isthmus.report.page import Section
from isthmus.report.theme import Picture, render

__all__ = ["sections"]


def sections(figures: Figures, results: Results) -> list[Section]:
    """Return the sections of the page, one per model and one on training."""
    writers = (_autoencoder, _sparse, _denoising, _contractive, _vae, _conditional)
    models = zip(writers, results.models.values(), strict=True)
    return [*(write(figures, results, row) for write, row in models), _training(figures)]


def _autoencoder(figures: Figures, _results: Results, row: ModelResult) -> Section:
    K = row.n_components
    return Section(
        row.key,
        "Autoencoder",
        "L(x, g(f(x)))",
        f"A network that learns to reproduce its input from a code f(x) of only {K} numbers for 64 pixels. The code is "
        f"a trade-off between a low dimension and a small reconstruction error: {row.error:.2f} per pixel here, and "
        f"{row.pca_error:.2f} for PCA with {K} components.",
        [
            render(
                figures.reconstructions,
                f"Test digits and their reconstructions by the autoencoder with {K} units and by PCA.",
                "The first test digit of each class and four more, with their reconstructions.",
                chart=True,
            )
        ],
    )


def _sparse(figures: Figures, results: Results, row: ModelResult) -> Section:
    unused = "all are used" if not results.n_unused else f"{results.n_unused} are never active"
    return Section(
        row.key,
        "Sparse autoencoder",
        "L(x, g(f(x))) + Ω(h)",
        f"An autoencoder with many units, of which few are active at a time: {row.strength.text} of {row.n_components} "
        f"per digit ({unused}). Because each digit selects its own units, the reconstruction error is only "
        f"{row.error:.2f}; that of PCA, with the same {row.pca_components} components for all digits, is "
        f"{row.pca_error:.2f}.",
        [
            render(
                figures.sparse_sums,
                "Six digits as sums of the mean digit and their active units, added one by one.",
                "Each digit is the mean digit plus its active units, added here one by one, the strongest first.",
            ),
            render(
                figures.features,
                f"The features of all {row.n_components} units, as images.",
                f"The features of all {row.n_components} units (red adds ink, blue removes it), the most used first.",
            ),
        ],
    )


def _denoising(figures: Figures, _results: Results, row: ModelResult) -> Section:
    errors = row.strength.comparison
    return Section(
        row.key,
        "Denoising autoencoder",
        "E L(x, g(f(x̃))),  x̃ = x + noise",
        "An autoencoder that is trained to reconstruct clean digits from noisy ones. The noise is as strong as the "
        f"variation between digits, a mean squared error of {errors['noisy input']:.1f}. The denoising autoencoder "
        f"reduces it to {row.strength.text} on test digits, the plain autoencoder of the same size to "
        f"{errors['plain']:.2f}, and PCA to {errors['PCA']:.2f}.",
        [
            render(
                figures.denoising,
                "Test digits, the same with noise, and reconstructions by the plain and the denoising autoencoder.",
                "Both reconstructions are computed from the noisy digits in the second row.",
                chart=True,
            )
        ],
    )


def _contractive(figures: Figures, _results: Results, row: ModelResult) -> Section:
    return Section(
        row.key,
        "Contractive autoencoder",
        "L(x, g(f(x))) + λ Σᵢ ‖∇ₓ hᵢ‖²",
        "A penalty on the derivatives of the code makes it robust: small changes of the input change it little. The "
        f"mean ‖df/dx‖ on test digits, relative to the spread of the codes, is {row.strength.text}; it is "
        f"{row.strength.comparison['plain']:.3f} for the plain autoencoder, the same network without the penalty.",
        [
            render(
                figures.contraction,
                "Histograms of the norm of the Jacobian, and its singular values, with the penalty and without.",
                "Left: the norm of df/dx at each test digit. Right: the singular values of df/dx, averaged over test "
                "digits.",
                chart=True,
            )
        ],
    )


def _vae(figures: Figures, results: Results, row: ModelResult) -> Section:
    mixture = results.baselines[0]
    gain = results.log_p - mixture.log_p
    error = float(np.std(gain) / np.sqrt(len(gain)))
    settings = "; ".join(f"{model.name}: {model.settings}" for model in results.baselines)
    return Section(
        row.key,
        "Variational autoencoder",
        "log p(x) − KL(q(z|x) ‖ p(z|x)) = E[log p(x|z)] − KL(q(z|x) ‖ p(z))",
        "A generative model: z is drawn from a standard normal distribution, and x from p(x|z), given by a network. It "
        f"estimates the density of the data: the mean log p(x) of test digits is {row.strength.text} nats, "
        f"{gain.mean():+.1f} ± {error:.1f} compared with the best Gaussian mixture. All models are fitted to "
        "pixels + U(0, 1), because the density of integers has no upper bound. The settings of the baselines were "
        f"selected on held-out training digits ({settings}).",
        _vae_pictures(figures),
    )


def _vae_pictures(figures: Figures) -> list[Picture]:
    return [
        render(
            figures.densities,
            "Histograms of log p(x) of test digits for each model.",
            "The log-density of each test digit; larger is better.",
            chart=True,
        ),
        render(
            figures.samples,
            "Test digits, samples of p(x), and decoder means at codes drawn from the prior.",
            "Test digits (left), and new digits generated by the model: with the noise of p(x|z), and without it.",
            chart=True,
        ),
        render(
            figures.latent_space,
            "The latent plane with test digits coloured by class, and decodings of the plane.",
            "The latent space of a second VAE, with two latent units, trained without labels.",
            chart=True,
        ),
    ]


def _conditional(figures: Figures, results: Results, row: ModelResult) -> Section:
    return Section(
        row.key,
        "Conditional VAE",
        "log p(x|y) − KL(q(z|x, y) ‖ p(z|x, y)) = E[log p(x|z, y)] − KL(q(z|x, y) ‖ p(z))",
        "A VAE of the digit given its class y. A classifier trained on real digits recognises "
        f"{row.strength.text} of 1000 generated digits as the class they were generated for (its accuracy on real test "
        f"digits is {results.classifier_accuracy:.1%}). By Bayes' rule, p(y|x) ∝ p(x|y) p(y), the model is also a "
        f"classifier; its accuracy on test digits is {results.accuracy:.1%}.",
        [
            render(
                figures.class_samples,
                "Digits generated for each class, and codes decoded as every class.",
                f"The class is given, so that the {row.n_components} latent units describe the style of writing.",
            )
        ],
    )


def _training(figures: Figures) -> Section:
    text = (
        "The terms of the loss in nats per sample of the scaled data, summed over pixels. The loss of the autoencoders "
        "is −log p(x|z) with a learned σ, which may be negative; contraction is shown without its weight λ."
    )
    picture = render(figures.training_curves, "The loss of each of the six models by epoch.", "", chart=True)
    return Section("training", "Training", "", text, [picture])
