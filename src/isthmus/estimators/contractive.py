"""The contractive autoencoder."""

from __future__ import annotations

import dataclasses

from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import estimator
from isthmus.penalties import Contraction, Penalty

__all__ = ["ContractiveAutoencoder"]


@estimator
class ContractiveAutoencoder(DeterministicAutoencoder):
    r"""Contractive autoencoder: the code moves little when the row does.

    Loss, in nats a row, h = f(x):

    .. math:: L(x) = -\log p(x \mid h) + \lambda \sum_i \|\nabla_x h_i\|^2

    With hidden layers the penalty is estimated without bias by a random projection. Rifai's model, one sigmoid layer
    with tied weights, is ``hidden_layer_sizes=(), code_activation="sigmoid", tied=True``: there the penalty is the
    closed form :math:`\sum_j (h_j (1 - h_j))^2 \|W_j\|^2`, and the tie keeps the network from shrinking the encoder
    while the decoder grows (compare Jacobians in units of the code's own spread where weights are not tied).

    Parameters
    ----------
    n_components : int, default=16
        K, number of units of the code.
    contraction : float, default=1.0
        lambda, in nats for a unit of the squared Jacobian norm (rows in scaled units); 10 is a good start for one
        tied sigmoid layer.

    See Also
    --------
    isthmus.penalties.Contraction : The penalty, exact or by projections.

    References
    ----------
    Rifai et al. (2011), Contractive Auto-Encoders: Explicit Invariance During Feature Extraction, equation 5.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> model = ContractiveAutoencoder(max_epochs=3, random_state=0).fit(X)
    >>> sorted(model.history_[0])[:3]
    ['contraction', 'epoch', 'learning_rate']
    """

    n_components: int = dataclasses.field(default=16, kw_only=False)
    contraction: float = 1.0

    def _own_penalties(self) -> list[Penalty]:
        return [Contraction(self.contraction)]
