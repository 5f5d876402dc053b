"""Figures of models, of samples and of the results of :mod:`isthmus.assessment`, without pyplot's global state.

Every function draws on `ax`, or on the axes of a new figure, and returns the axes. Save a figure with
``ax.figure.savefig("figure.png")``.
"""

from isthmus.plots._images import PALETTE, image_rows, images
from isthmus.plots._models import features, history, reconstructions, traversals
from isthmus.plots._planes import decoded_plane, latent_plane
from isthmus.plots._results import coverage, dependencies, kl_per_unit, log_likelihoods, marginal, unit_effects

__all__ = [
    "PALETTE",
    "coverage",
    "decoded_plane",
    "dependencies",
    "features",
    "history",
    "image_rows",
    "images",
    "kl_per_unit",
    "latent_plane",
    "log_likelihoods",
    "marginal",
    "reconstructions",
    "traversals",
    "unit_effects",
]
