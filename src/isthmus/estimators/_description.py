"""The parts of an estimator's model and loss, as its fields describe them."""

from __future__ import annotations

from typing import Any, ClassVar

from isthmus._part import Part, resolve
from isthmus.corruptions import Corruption
from isthmus.estimators._fields import Fields, layer_sizes
from isthmus.likelihoods import Likelihood
from isthmus.model import Model
from isthmus.networks import Network
from isthmus.objectives import Objective, TrainingLoss
from isthmus.penalties import Penalty
from isthmus.posteriors import Posterior
from isthmus.priors import Prior
from isthmus.scaling import Scaling
from isthmus.tables import TableCodec

__all__ = ["Description"]


class Description(Fields):
    """Base of the estimators: the parts that the fields describe, some of which a subclass chooses."""

    _table: TableCodec | None = None  # of the training data, if that was a table with other columns than floats
    _encodes: bool = False  # whether the model learns the matrix of that codec, not the numbers of the table

    has_density: ClassVar[bool] = False  # whether there is a p(x), to score samples and to draw new ones

    @property
    def _codec(self) -> TableCodec | None:
        """The codec that makes the matrix which the model learns, if there is one."""
        return self._table if self._encodes else None

    def _posterior(self) -> str | Part:
        raise NotImplementedError

    def _prior(self) -> str | Part:
        return "standard_normal"

    def _own_penalties(self) -> list[Penalty]:
        return []

    def _own_objective(self) -> str | Part:
        return "penalized_likelihood"

    def _describe(self) -> Model:
        """Return the unbuilt model; an unknown name raises an error here, before any data are read."""
        described: Any = self.likelihood if self._codec is None else self._codec.likelihood()
        likelihood = resolve("likelihoods", described, Likelihood)
        automatic = self.scaling == "auto" or self._codec is not None
        scaling = likelihood.default_scaling if automatic else self.scaling
        return Model(
            network=self._network(),
            posterior=resolve("posteriors", self._posterior(), Posterior),
            prior=resolve("priors", "standard_normal" if self._prior() == "auto" else self._prior(), Prior),
            scaling=resolve("scaling", scaling, Scaling),
            likelihood=likelihood,
        )

    def _network(self) -> Network:
        """Return the unbuilt network; it has the hidden layers of the estimator unless it brings its own."""
        network = resolve("networks", self.network, Network)
        if network.get_params(deep=False).get("hidden_layer_sizes", ()) is None:
            network.set_params(hidden_layer_sizes=layer_sizes(self.hidden_layer_sizes))
        return network

    def _describe_loss(self, model: Model) -> TrainingLoss:
        """Return the unbuilt training loss of a model; an unknown name is an error here."""
        objective = resolve("objectives", self._own_objective(), Objective)
        penalties = [resolve("penalties", p, Penalty) for p in (*self._own_penalties(), *self.penalties)]
        return TrainingLoss(model, objective, self._corruption(), penalties)

    def _corruption(self) -> Corruption:
        return resolve("corruptions", self.corruption, Corruption)
