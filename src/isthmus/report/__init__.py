"""One self-contained page that says whether a model is any good."""

from isthmus.report._report import Report, make_report

__all__ = ["Report", "make_report"]
