"""The explorer: a local web page for exploring the latent space of a model, with your own data on it."""

from isthmus.explorer._explorer import Explorer
from isthmus.explorer._export import export_page
from isthmus.explorer._notebook import make_widget
from isthmus.explorer._server import serve

__all__ = ["Explorer", "export_page", "make_widget", "serve"]
