"""The sparse autoencoder."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from isthmus._names import unknown_name
from isthmus._part import Part
from isthmus.estimators._deterministic import DeterministicAutoencoder
from isthmus.estimators._fields import FirstFields, estimator
from isthmus.networks import Network
from isthmus.penalties import L1, AuxK, KLSparsity, Penalty
from isthmus.posteriors import BatchTopK, Point, TopK

__all__ = ["SparseAutoencoder"]

_METHODS = ("batch_top_k", "top_k", "l1", "kl")


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class SparseFields(FirstFields):
    """Base of the sparse autoencoder: the fields that say what it is."""

    method: str = "batch_top_k"
    k: int | None = None
    sparsity: Any = 1.0
    rho: float = 0.05


@estimator
class SparseAutoencoder(DeterministicAutoencoder, SparseFields):
    r"""Represent each sample by a few active units out of many.

    The loss, in nats per sample, is :math:`L(x) = -\log p(x \mid h) + \Omega(h)` with h = f(x), where ``method`` is

    - "batch_top_k": on average, `k` units per sample are active: in training, the largest of each batch; later, those
      above a threshold that is estimated in training, so that the code of a sample depends on it alone. The decoder's
      weights of each unit have norm 1, the encoder starts as their transpose, and :class:`~isthmus.penalties.AuxK`,
      :math:`\Omega`, revives units that are never active. :class:`~isthmus.penalties.Matryoshka` among the
      `penalties` makes the first units describe general features.
    - "top_k": the same, with exactly the `k` largest units of each sample.
    - "l1": :math:`\Omega(h) = \lambda \sum_k |h_k| \, \|W_k\|`, with W_k the decoder's weights of unit k, times the
      gain of later layers (otherwise the codes would shrink and the decoder's weights grow). Codes are rectified, so
      that units are exactly 0.
    - "kl": :math:`\Omega = \lambda \sum_k \mathrm{KL}(\rho \,\|\, \hat\rho_k)`, with the mean activation of unit k
      over **samples**. Codes are sigmoids.

    Without hidden layers, the default, the decoder is a dictionary: each unit adds its own direction to the
    reconstruction. Dictionaries are usually wider than the data. Hidden layers reconstruct better with few units, whose
    meaning is then harder to see.

    Parameters
    ----------
    n_components : int or None, default=64
        Number of latent units, K. If None, it is chosen by held-out samples, at most 32.
    likelihood : str or Likelihood, default="gaussian"
        Distribution p(x|z): "gaussian" for real numbers, "bernoulli" for binary data, "poisson" for counts or
        "categorical" for codes of categories; :mod:`isthmus.likelihoods` lists all. For a table, a dictionary sets the
        likelihoods of columns by name; those of other columns follow from the kinds of the columns.
    method : {"batch_top_k", "top_k", "l1", "kl"}, default="batch_top_k"
        What makes the code sparse.
    k : int, optional
        Number of active units per sample, for "batch_top_k" on average; by default 2 sqrt(K), and at most K / 2.
    sparsity : float or Warmup, default=1.0
        Weight of the penalty, lambda, in nats. For "batch_top_k" and "top_k" it weights the loss that revives dead
        units; its value matters little, but with 0 units stay dead. For "kl" start at 30, and without hidden layers at
        learning_rate=0.03. For "l1" a Warmup keeps units from dying early.
    rho : float, default=0.05
        Target mean activation of each unit for "kl".
    code_activation : str, default="auto"
        Activation of the code, with the same choices as for hidden layers, for "l1" ("auto" is "relu") and "kl" ("auto"
        is "sigmoid"). Other methods ignore it.
    penalties : sequence of (str or Penalty), default=()
        Terms added to the loss: "l1", "kl_sparsity", "contraction", "kl", or objects that set their weights.
    hidden_layer_sizes : int or tuple of int, default=()
        Widths of the encoder's hidden layers; the decoder has the same in reverse order. An int is one layer, and ()
        makes encoder and decoder linear. A Network object may have its own.
    network : str or Network, default="mlp"
        Encoder and decoder: "mlp", "conv" (for square images), or an object that sets more, such as
        ``MLP(activation="relu")`` or ``Conv(image_shape=(28, 28))``; see :mod:`isthmus.networks`.
    scaling : str or Scaling, default="auto"
        Scaling of the data inside the model: "standard", "min_max", "none", or "auto", the default of the likelihood.
        Results are in the units of the data, likelihoods too. A :class:`isthmus.tables.TableCodec` says how the columns
        of a table are encoded.
    corruption : str or Corruption, default="none"
        Corruption of the encoder's input during training: "none", "gaussian_noise", "varying_noise", "uniform_noise",
        "masking", "salt_and_pepper", or an object that sets its strength, such as ``Masking(0.5)``.
    max_epochs : int or "auto", default="auto"
        Maximum number of epochs. "auto" is 4,000 steps, fewer for less than 1,000 samples, and at least two epochs.
    batch_size : int or "auto", default="auto"
        Maximum number of samples per training step; "auto" is N / 20, from 32 to 256 (1,024 on a GPU).
    learning_rate : float or "auto", default="auto"
        Peak learning rate of the optimizer; "auto" is larger for fewer steps, between 0.0005 and 0.016.
    optimizer : str or Optimizer, default="adam"
        "adam", or an object that sets decay rates, weight decay, the encoder's learning rate, the schedule of the
        learning rate or gradient clipping, such as ``Adam(weight_decay=0.01)``; see :mod:`isthmus.optimizers`.
    early_stopping : bool, "auto" or EarlyStopping, default="auto"
        Whether to hold out samples, stop when their loss no longer falls, and keep the parameters at which it was
        lowest. :class:`isthmus.training.EarlyStopping` sets how many, and when to stop. "auto" stops early where
        ``max_epochs`` is "auto" too; with at most 2,000 samples it only chooses the number of epochs for all of them.
    random_state : int, RandomState or None, default=None
        Seed of everything random in ``fit``. Pass an int for reproducible results; global generators are never used.
    device : str, default="auto"
        Device of training and inference: "auto" (the first GPU, else the CPU), "cpu", "cuda" or "cuda:1".
    verbose : int, default=0
        1 shows a progress bar on stderr, or one line per epoch if stderr is not a terminal.
    warm_start : bool, default=False
        Whether ``fit`` continues from the parameters of the previous call.
    trainer : Trainer, optional
        How training runs: number format, captured steps, accumulated gradients, callbacks, loggers and checkpoints; see
        :class:`isthmus.training.Trainer`.

    Attributes
    ----------
    model_ : Model
        The trained model, a :class:`torch.nn.Module`.
    history_ : list of dict
        One record of named numbers per epoch, in nats per sample of the scaled data.
    n_iter_ : int
        Number of epochs trained.
    n_features_in_ : int
        Number of features, D.
    feature_names_in_ : ndarray of shape (D,)
        Names of the features, if the columns of X have string names.

    See Also
    --------
    Autoencoder : The same without the penalty.

    References
    ----------
    Bussmann, Leask & Nanda (2024), BatchTopK Sparse Autoencoders, arXiv:2412.06410; Gao et al. (2024), Scaling and
    Evaluating Sparse Autoencoders, arXiv:2406.04093; Makhzani & Frey (2014), k-Sparse Autoencoders; Bricken et al.
    (2023), Towards Monosemanticity; Ng (2011), CS294A Lecture Notes: Sparse Autoencoder.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> model = SparseAutoencoder(32, k=4, max_epochs=3, random_state=0).fit(X)
    >>> print(f"{(model.transform(X) != 0).sum(axis=1).mean():.0f} of 32 units are active on average")
    4 of 32 units are active on average
    """

    n_components: int = dataclasses.field(default=64, kw_only=False)
    hidden_layer_sizes: int | tuple[int, ...] = ()
    code_activation: str = "auto"

    @property
    def _selects(self) -> bool:
        """Whether only the largest units are kept."""
        return self.method in ("batch_top_k", "top_k")

    def _network(self) -> Network:
        network = super()._network()
        params = network.get_params(deep=False)
        if self._selects and params.get("unit_norm", False) is None and not params["tied"]:
            network.set_params(unit_norm=True)
        return network

    def _posterior(self) -> str | Part:
        if self.method not in _METHODS:
            raise unknown_name("method", self.method, list(_METHODS))
        if self._selects:
            few = min(self.n_components // 2, round(2 * math.sqrt(self.n_components)))
            k = max(1, few) if self.k is None else self.k
            return TopK(k) if self.method == "top_k" else BatchTopK(k)
        if self.code_activation == "auto":
            return Point("relu" if self.method == "l1" else "sigmoid")
        return Point(self.code_activation)

    def _own_penalties(self) -> list[Penalty]:
        if self._selects:
            return [AuxK(self.sparsity)] if self.sparsity else []
        return [L1(self.sparsity) if self.method == "l1" else KLSparsity(self.sparsity, self.rho)]
