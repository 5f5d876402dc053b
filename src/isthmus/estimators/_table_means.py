"""Conditional means of the missing cells of a table, in the units of the table."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Categorical, Normal

from isthmus.evaluation.imputation import Completion
from isthmus.model import Model
from isthmus.tables import CategoryColumn, NumberColumn, TableCodec

__all__ = ["table_means"]


def table_means(codec: TableCodec, model: Model, completion: Completion, mask: Tensor) -> Tensor:
    """Return the matrix (N, M) that is decoded to the conditional means of a table's cells, float64.

    The mean of a column's numbers is not what its mean score is decoded to, which is their median. Nor is it a level of
    a column with few values: those get the nearest one. Categories and columns without scores are as the likelihood's
    ``mixture_mean`` has them.

    Parameters
    ----------
    codec : TableCodec
        The codec of the table.
    model : Model
        The model of its matrix.
    completion : Completion
        The mixture p(x | x_observed) of N samples.
    mask : Tensor of shape (N, M)
        1 where a cell of the matrix was observed.
    """
    means = model.scaling.to_data_units(completion.mean(model)).double()
    weight = torch.softmax(completion.log_w, 0)
    for column, own in codec.leaves():
        rows = (mask[:, own] == 0).all(-1).nonzero().squeeze(1)
        if column.has_own_mean() and len(rows):
            given = [model.likelihood.marginal(completion.h[:, rows], j) for j in own]
            scale, shift = (float(t[own[-1]]) for t in (model.scaling.scale, model.scaling.shift))
            found = _matrix_of_mean(column, _array(weight[:, rows]), given, scale, shift)
            means[rows[:, None], torch.tensor(own, device=rows.device)] = torch.from_numpy(found).to(means)
    return means


def _matrix_of_mean(
    column: object, weight: np.ndarray, given: list[torch.distributions.Distribution], scale: float, shift: float
) -> np.ndarray:
    """Return a column's part of the matrix, (N, W), for weights (S, N) and distributions of its cells given each code.

    Scores are `scale` times what the model has, plus `shift`.
    """
    *levels, last = given
    shares = [_array(p.probs) for p in given if isinstance(p, Categorical)]
    if isinstance(column, CategoryColumn):
        return column.level_of_mean((weight[..., None] * shares[0]).sum(axis=0))[:, None]
    assert isinstance(column, NumberColumn)
    assert isinstance(last, Normal)
    assert len(shares) == len(levels)
    sd = float(last.stddev.flatten()[0])  # the same for all samples
    return column.score_of_mean(weight, _array(last.mean) * scale + shift, sd * scale, *shares)


def _array(t: Tensor) -> np.ndarray:
    return t.double().cpu().numpy()
