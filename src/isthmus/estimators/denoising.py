"""The denoising autoencoder."""

from __future__ import annotations

import dataclasses

from isthmus._part import Part
from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import estimator

__all__ = ["DenoisingAutoencoder"]


@estimator
class DenoisingAutoencoder(DeterministicAutoencoder):
    r"""Denoising autoencoder: restores the clean row from a corrupted one.

    Loss, in nats a row:

    .. math:: L(x) = E_{\tilde x \sim c(\cdot \mid x)}\big[-\log p(x \mid z = f(\tilde x))\big]

    Only training corrupts; ``transform`` and ``reconstruct`` take rows as they are, so ``reconstruct`` of a noisy row
    is its denoised version. With Gaussian noise of variance s^2 the best reconstruction is
    E[x|x~] = x~ + s^2 grad log p(x~) (Tweedie): it learns the score of the noisy data.

    Parameters
    ----------
    n_components : int, default=16
        K, number of units of the code. It may exceed D: the noise keeps the network from copying.
    corruption : str or Corruption, default="gaussian_noise"
        c(x~|x): "gaussian_noise", "uniform_noise", "masking", "salt_and_pepper", or an object such as ``Masking(0.5)``;
        to fill missing cells, ``Masking(0.5, input_mask=True)``, which tells the encoder where they are.

    See Also
    --------
    isthmus.corruptions : The corruptions and their strengths.

    References
    ----------
    Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11; Vincent (2011), A Connection Between Score
    Matching and Denoising Autoencoders; Alain & Bengio (2014), What Regularized Auto-Encoders Learn, JMLR 15.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> model = DenoisingAutoencoder(max_epochs=3, random_state=0).fit(X)
    >>> model.reconstruct(X).shape
    (1797, 64)
    """

    n_components: int = dataclasses.field(default=16, kw_only=False)
    corruption: str | Part = "gaussian_noise"
