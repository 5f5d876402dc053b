"""Penalties: the terms that are added to the reconstruction loss, each with a weight."""

from isthmus.penalties._base import EncodedBatch, Penalty, Warmup
from isthmus.penalties.aux_k import AuxK
from isthmus.penalties.contraction import Contraction
from isthmus.penalties.kl import KL
from isthmus.penalties.matryoshka import Matryoshka
from isthmus.penalties.sparsity import L1, KLSparsity

__all__ = ["KL", "L1", "AuxK", "Contraction", "EncodedBatch", "KLSparsity", "Matryoshka", "Penalty", "Warmup"]
