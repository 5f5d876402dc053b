"""All metrics of one fitted estimator, a verdict on it, and selection of the number of latent units."""

from isthmus.assessment._assess import assess
from isthmus.assessment._evidence import CHECKS, Check
from isthmus.assessment._examination import Examination
from isthmus.assessment._examine import examine
from isthmus.assessment._results import Assessment
from isthmus.assessment.model_selection import Baseline, Selection, SizeResult, choose_n_components

__all__ = [
    "CHECKS",
    "Assessment",
    "Baseline",
    "Check",
    "Examination",
    "Selection",
    "SizeResult",
    "assess",
    "choose_n_components",
    "examine",
]
