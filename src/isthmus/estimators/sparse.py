"""The sparse autoencoder."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from isthmus._names import nearest
from isthmus._part import Part
from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import estimator
from isthmus.penalties import L1, KLSparsity, Penalty
from isthmus.posteriors import Point, TopK

__all__ = ["SparseAutoencoder"]

_METHODS = ("top_k", "l1", "kl")


@estimator
class SparseAutoencoder(DeterministicAutoencoder):
    r"""Sparse autoencoder: many units, few of them active for a row.

    Loss, in nats a row: :math:`L(x) = -\log p(x \mid h) + \Omega(h)`, h = f(x), where by ``method``

    - "top_k": only the `k` largest units of h stay, the others are 0; no penalty.
    - "l1": :math:`\Omega(h) = \lambda \sum_k |h_k| \, \|W_k\|`, W_k the decoder's column that reads h_k, times the
      gain of the later layers (without it the codes shrink and the decoder grows); codes are rectified, so that
      units are exactly 0.
    - "kl": :math:`\Omega = \lambda \sum_k \mathrm{KL}(\rho \,\|\, \hat\rho_k)`, the mean taken over **samples**;
      codes are sigmoids.

    Parameters
    ----------
    n_components : int, default=16
        K, number of units of the code. More than columns make a dictionary: with hidden_layer_sizes=() each unit
        is a feature of the row.
    method : {"top_k", "l1", "kl"}, default="top_k"
        What makes the code sparse.
    k : int, optional
        Active units of each row, for "top_k"; by default 2 sqrt(K), and at most half of them.
    sparsity : float or Warmup, default=1.0
        lambda, for "l1" (nats a unit of activation times decoder norm; a Warmup keeps units from dying early) and "kl"
        (which wants 30 or more; without hidden layers also learning_rate=0.03: sigmoids move slowly from one half).
    rho : float, default=0.05
        Wanted mean activation of each unit, for "kl".
    code_activation : str, default="auto"
        Activation of the code: "auto" is "relu" for "l1" and "sigmoid" for "kl".

    See Also
    --------
    Autoencoder : Without the penalty.

    References
    ----------
    Ng (2011), CS294A Lecture Notes: Sparse Autoencoder; Makhzani & Frey (2014), k-Sparse Autoencoders;
    Bricken et al. (2023), Towards Monosemanticity.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> model = SparseAutoencoder(32, k=4, max_epochs=3, random_state=0).fit(X)
    >>> int((model.transform(X) != 0).sum(axis=1).max())
    4
    """

    n_components: int = dataclasses.field(default=16, kw_only=False)
    method: str = "top_k"
    k: int | None = None
    sparsity: Any = 1.0
    rho: float = 0.05
    code_activation: str = "auto"

    def _posterior(self) -> str | Part:
        if self.method not in _METHODS:
            raise nearest("method", self.method, list(_METHODS))
        if self.method == "top_k":
            few = min(self.n_components // 2, round(2 * math.sqrt(self.n_components)))
            return TopK(max(1, few) if self.k is None else self.k)
        if self.code_activation == "auto":
            return Point("relu" if self.method == "l1" else "sigmoid")
        return Point(self.code_activation)

    def _own_penalties(self) -> list[Penalty]:
        penalties: dict[str, list[Penalty]] = {
            "l1": [L1(self.sparsity)],
            "kl": [KLSparsity(self.sparsity, self.rho)],
            "top_k": [],
        }
        return penalties[self.method]
