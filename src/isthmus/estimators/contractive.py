"""The contractive autoencoder."""

from __future__ import annotations

import dataclasses

from isthmus.estimators._fields import estimator
from isthmus.estimators._point import PointAutoencoder
from isthmus.penalties import Contraction, Penalty

__all__ = ["ContractiveAutoencoder"]


@estimator
class ContractiveAutoencoder(PointAutoencoder):
    r"""Contractive autoencoder: the code moves little when the row does.

    Loss, in nats a row, h = f(x):

    .. math:: L(x) = -\log p(x \mid h) + \lambda \sum_i \|\nabla_x h_i\|^2

    One sigmoid layer with tied weights (Rifai's model) by default: there the penalty is the closed form
    :math:`\sum_j (h_j (1 - h_j))^2 \|W_j\|^2`, and the tie keeps the network from shrinking the encoder while the
    decoder grows. With hidden layers it is estimated without bias by a random projection.

    Parameters
    ----------
    n_components : int, default=64
        K, number of units of the code.
    hidden_layer_sizes : tuple of int, default=()
        Widths of hidden layers; none by default.
    contraction : float, default=10.0
        lambda, in nats for a unit of the squared Jacobian norm (rows in scaled units).
    code_activation : str, default="sigmoid"
        Activation of the code.
    tied : bool, default=True
        Whether the decoder's weights are the encoder's, transposed (network="mlp").

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

    n_components: int = dataclasses.field(default=64, kw_only=False)
    hidden_layer_sizes: tuple[int, ...] = ()
    contraction: float = 10.0
    code_activation: str = "sigmoid"
    tied: bool = True

    def _own_penalties(self) -> list[Penalty]:
        return [Contraction(self.contraction)]
