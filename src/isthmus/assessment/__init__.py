"""Is a model any good, and how large should it be: all metrics of one model, and model selection."""

from isthmus.assessment._assess import assess
from isthmus.assessment._results import Assessment
from isthmus.assessment.model_selection import choose_n_components

__all__ = ["Assessment", "assess", "choose_n_components"]
