"""The plain autoencoder."""

from __future__ import annotations

from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import estimator

__all__ = ["Autoencoder"]


@estimator
class Autoencoder(DeterministicAutoencoder):
    r"""Autoencoder: a code f(x) of few numbers from which g(f(x)) restores the row.

    Loss, in nats a row, summed over columns:

    .. math::

        L(x) = -\log p(x \mid z = f(x))
             = \sum_d \Big[\frac{(x_d - g_d(f(x)))^2}{2\sigma^2} + \log\sigma + \tfrac12\log 2\pi\Big]

    for the default Gaussian likelihood with one learned sigma. There is no penalty: what keeps it from learning
    the identity is that K is smaller than D. With ``hidden_layer_sizes=()`` it spans the subspace of PCA.

    Parameters
    ----------

    See Also
    --------
    SparseAutoencoder : Few units of the code are active.
    DenoisingAutoencoder : Learns to undo noise.
    ContractiveAutoencoder : The code changes little where the row does.
    VAE : The generative model.

    References
    ----------
    Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks, Science 313;
    Baldi & Hornik (1989), Neural Networks and Principal Component Analysis, for the linear one.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = Autoencoder(2, max_epochs=20, random_state=0).fit(X)
    >>> model.transform(X).shape, model.reconstruct(X).shape
    ((150, 2), (150, 4))
    """
