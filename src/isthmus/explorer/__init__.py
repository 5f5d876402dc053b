"""The explorer: a local web page on which a model's latent space is walked through, on one's own data."""

from isthmus.explorer._explorer import Explorer
from isthmus.explorer._export import export_page
from isthmus.explorer._server import serve

__all__ = ["Explorer", "export_page", "serve"]
