"""The auxiliary loss that revives dead units of sparse codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus._distributions import PointMass
from isthmus.penalties._base import EncodedBatch, Penalty, Warmup, constant
from isthmus.posteriors import LargestUnits

__all__ = ["AuxK"]


@dataclass(eq=False, repr=False)
class AuxK(Penalty):
    r"""The auxiliary loss of dead units: they learn to reconstruct what the active units have left over.

    .. math:: -\log p(x \mid \hat y + y(h_{\mathrm{dead}})) + \log p(x \mid \hat y)

    y(.) are the decoder's outputs without those of the code 0, and y^ the outputs for the code, a constant here. A unit
    that is never among the largest gets no gradient from the reconstruction. This term gives it one, and is 0 while no
    unit is dead.

    Parameters
    ----------
    weight : float or Warmup, default=1.0
        Weight of the term. Dead units hardly compete with others for gradients, so that the weight matters little.
    patience : float, default=100.0
        A unit is dead if it was not active while the average unit was active this many times.

    Notes
    -----
    It needs :class:`~isthmus.posteriors.TopK` or :class:`~isthmus.posteriors.BatchTopK`. Only positive h are added, as
    negative ones would become active by growing away from the feature that they describe. In the published form, there
    are at most D / 2 dead units per sample; here, all that are positive count.

    References
    ----------
    Gao et al. (2024), Scaling and Evaluating Sparse Autoencoders, arXiv:2406.04093, appendix A.2.
    """

    weight: float | Warmup = 1.0
    patience: float = 100.0
    alias = "aux_k"

    def forward(self, batch: EncodedBatch) -> Tensor:
        """Return minus what the dead units would add to log p(x|z), (N,); 0 outside training.

        Raises
        ------
        ValueError
            If the posterior does not keep the largest units only.
        """
        model, q = batch.model, batch.q
        if not isinstance(model.posterior, LargestUnits):
            raise ValueError("aux_k revives units of the posteriors 'top_k' and 'batch_top_k'.")
        if not isinstance(q, PointMass) or q.selected_from is None:
            return batch.x.new_zeros(len(batch.x))
        dead = model.posterior.idleness > self.patience
        code = q.selected_from.relu() * dead
        with torch.no_grad():
            outputs = model.decode(q.mean, batch.c)
            before = model.likelihood.row_log_prob(outputs, batch.x, batch.mask)
        nothing = torch.zeros_like(code[:1] if batch.c is None else code)
        added = model.decode(code, batch.c) - model.decode(nothing, batch.c)
        with constant(model.likelihood):
            after = model.likelihood.row_log_prob(outputs + added, batch.x, batch.mask)
        return before - after
