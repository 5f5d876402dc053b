"""One self-contained page that says whether a model is any good, or which of two models is better."""

from isthmus.report._compare import make_comparison
from isthmus.report._report import Report, make_report

__all__ = ["Report", "make_comparison", "make_report"]
