"""All metrics of one fitted estimator, and selection of the number of latent units."""

from isthmus.assessment._assess import assess
from isthmus.assessment._results import Assessment
from isthmus.assessment.model_selection import Baseline, Selection, SizeResult, choose_n_components

__all__ = ["Assessment", "Baseline", "Selection", "SizeResult", "assess", "choose_n_components"]
