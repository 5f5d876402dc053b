"""The fields that all estimators share, and the decorator that makes an estimator of a dataclass."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeVar, dataclass_transform

from sklearn.base import BaseEstimator

from isthmus._names import PART_MODULES, unknown_name
from isthmus._part import Part, Settings, find_parts
from isthmus.networks import MLP, Conv
from isthmus.objectives import PenalizedLikelihood
from isthmus.optimizers import Adam, Optimizer
from isthmus.tables import TableCodec
from isthmus.training import EarlyStopping, Trainer

__all__ = ["Fields", "FirstFields", "Place", "as_part", "estimator", "field_docs", "find_place", "layer_sizes"]

# Classes whose parameters are often looked for among those of the estimator, by field.
_PARTS: dict[str, tuple[type[Settings], ...]] = {
    "network": (MLP, Conv),
    "objective": (PenalizedLikelihood,),
    "optimizer": (Adam,),
    "early_stopping": (EarlyStopping,),
    "trainer": (Trainer,),
}
_OTHER_NAMES = {"adam_betas": "betas", "loggers": "callbacks"}

_T = TypeVar("_T")


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class FirstFields:
    """Base of the fields of an estimator: those that come first.

    The order of parameters is that of a sentence: what the model is, how wide, for what data, how long it trains, and
    how a run is repeated. A dataclass has the fields of its last base first. Therefore, the fields that say what the
    model is stand in a class of their own for each kind of estimator, which is its last base.
    """

    n_components: int | None = dataclasses.field(default=None, kw_only=False)
    likelihood: str | Part | Mapping[Any, str | Part] = "gaussian"


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Fields(FirstFields, BaseEstimator):
    """The fields that every estimator has; each estimator documents them."""

    penalties: Sequence[str | Part] = ()
    hidden_layer_sizes: int | tuple[int, ...] = (256, 128)
    network: str | Part = "mlp"
    scaling: str | Part | TableCodec = "auto"
    corruption: str | Part = "none"
    max_epochs: int | str = "auto"
    batch_size: int | str = "auto"
    learning_rate: float | str = "auto"
    optimizer: str | Optimizer = "adam"
    early_stopping: bool | str | EarlyStopping = "auto"
    random_state: Any = None
    device: str = "auto"
    verbose: int = 0
    warm_start: bool = False
    trainer: Trainer | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the fields by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the hyperparameters of parts, as ``likelihood__scale``, also of parts that are named by
            a string or stand for a default, as ``trainer=None`` does.

        Returns
        -------
        dict
            Everything that :meth:`set_params` takes.
        """
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for field, value in list(params.items()):
                part: Any = value if value is False else as_part(field, value)
                if hasattr(part, "get_params") and not isinstance(part, type):
                    params |= {f"{field}__{name}": inner for name, inner in part.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set fields, and hyperparameters of parts as ``likelihood__scale=0.5``.

        A part that is named by a string is replaced by an object: ``likelihood="gaussian"`` becomes
        ``Gaussian(scale=0.5)``. Setting a parameter of early stopping turns it on.

        Parameters
        ----------
        **params
            Values by name.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such field or hyperparameter, or a field holds nothing that has hyperparameters.

        Examples
        --------
        >>> from isthmus import VAE
        >>> VAE().set_params(likelihood__scale=0.5).likelihood
        Gaussian(scale=0.5)
        """
        fields = self._get_param_names()
        for name in params:
            if name not in fields and (place := find_place(name, fields)):
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; set {place.field}__{place.name}.")
        nested = {key: value for key, value in params.items() if "__" in key and key.partition("__")[0] in fields}
        super().set_params(**{key: value for key, value in params.items() if key not in nested})
        for key, value in nested.items():
            field, _, name = key.partition("__")
            current = getattr(self, field)
            if field == "early_stopping" and isinstance(current, str):  # "auto"
                current = False
            part = as_part(field, current)
            if not hasattr(part, "set_params"):
                named = f" ({', '.join(find_parts(PART_MODULES[field]))})" if field in PART_MODULES else ""
                raise ValueError(f"{key}: {field}={current!r} has no parameters; set {field}{named} as well.")
            part.set_params(**{name: value})
            if current is False or part != as_part(field, current):
                setattr(self, field, part)
        return self

    def _trainer(self) -> Trainer:
        """Return the trainer itself, not a clone: its callbacks are the objects that the user holds."""
        trainer: Trainer = as_part("trainer", self.trainer)
        return trainer


def as_part(field: str, value: Any) -> Any:
    """Return the part that the value of a field stands for; a value that stands for no part, or is one, as it is.

    Examples
    --------
    >>> as_part("likelihood", "gaussian"), as_part("early_stopping", True), as_part("trainer", None)
    (Gaussian(), EarlyStopping(), Trainer())
    """
    if field == "trainer" and value is None:
        return Trainer()
    if field == "early_stopping" and isinstance(value, bool):
        return EarlyStopping()
    cls = find_parts(PART_MODULES[field]).get(value) if field in PART_MODULES and isinstance(value, str) else None
    return value if cls is None else cls()


class Place(NamedTuple):
    """The part of an estimator that has a parameter which the estimator lacks: ``field=part(name=...)``."""

    field: str
    part: type[Settings]
    name: str


def find_place(name: str, fields: Iterable[str]) -> Place | None:
    """Return the place of a parameter among the parts of an estimator with some fields, or None.

    Examples
    --------
    >>> find_place("precision", ["likelihood", "trainer"])
    Place(field='trainer', part=<class 'isthmus.training.Trainer'>, name='precision')
    """
    own = _OTHER_NAMES.get(name, name)
    places = (Place(field, part, own) for field in fields for part in _PARTS.get(field, ()))
    return next((place for place in places if own in place.part.parameter_names()), None)


def layer_sizes(hidden_layer_sizes: Any) -> tuple[Any, ...]:
    """Return the widths of hidden layers, unchecked, as a tuple; one number is one layer."""
    return tuple(hidden_layer_sizes) if isinstance(hidden_layer_sizes, Iterable) else (hidden_layer_sizes,)


@dataclass_transform(kw_only_default=True, eq_default=False)
def estimator(cls: type[_T]) -> type[_T]:
    """Make an estimator class a dataclass whose ``__init__`` suggests the nearest field for an unknown name."""
    made: type[_T] = dataclasses.dataclass(kw_only=True, eq=False, repr=False)(cls)
    init: Any = made.__init__
    names = list(inspect.signature(init).parameters)[1:]

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:
            if name not in names:
                raise TypeError(_unknown_parameter(made.__name__, name, names))
        init(self, *args, **kwargs)

    setattr(made, "__init__", checked)  # noqa: B010 - mypy refuses to assign to a method
    return made


def _unknown_parameter(estimator: str, name: str, known: Sequence[str]) -> str:
    """Return the message for a parameter that an estimator does not have: where it is, or the nearest name."""
    place = find_place(name, known)
    if place is None:
        return str(unknown_name(f"parameter of {estimator}", name, known))
    module = ".".join(place.part.__module__.split(".")[:2])  # isthmus.networks of isthmus.networks.mlp
    return (
        f"{estimator} has no parameter {name!r}; pass {place.field}={place.part.__name__}({place.name}=...), "
        f"from {module}."
    )


def field_docs(cls: type) -> dict[str, str]:
    """Return the documentation of each field of an estimator class, by name, as its docstring has it.

    Examples
    --------
    >>> from isthmus import VAE
    >>> print(field_docs(VAE)["beta"].splitlines()[0])
    beta : float or Warmup, default=1.0
    """
    section = inspect.cleandoc(cls.__doc__ or "").partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    entries = re.split(r"\n(?=\w)", section)
    return {entry.partition(" : ")[0]: entry for entry in entries}
