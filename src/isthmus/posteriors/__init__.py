"""Posteriors: maps from the encoder's outputs to a distribution q(z|x) of codes."""

from isthmus.posteriors._base import Posterior
from isthmus.posteriors.flow import FlowNormal
from isthmus.posteriors.normal import DiagonalNormal, FullNormal
from isthmus.posteriors.point import Point
from isthmus.posteriors.top_k import BatchTopK, LargestUnits, TopK

__all__ = [
    "BatchTopK",
    "DiagonalNormal",
    "FlowNormal",
    "FullNormal",
    "LargestUnits",
    "Point",
    "Posterior",
    "TopK",
]
