"""Figures of models and of samples, with matplotlib but without pyplot's global state.

Every function draws on `ax`, or on the axes of a new figure, and returns the axes. Save a figure with
``ax.figure.savefig("figure.png")``.
"""

from isthmus.plots._images import PALETTE, image_rows, images
from isthmus.plots._models import features, history, reconstructions
from isthmus.plots._planes import decoded_plane, latent_plane

__all__ = ["PALETTE", "decoded_plane", "features", "history", "image_rows", "images", "latent_plane", "reconstructions"]
