"""The fields that all estimators share, and the decorator that makes an estimator of a dataclass."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, TypeVar, dataclass_transform

from sklearn.base import BaseEstimator

from isthmus._names import unknown_name
from isthmus._part import Part, find_parts

__all__ = ["PART_MODULES", "Fields", "estimator", "field_docs", "layer_sizes"]

# The module of isthmus in which the part that a field names is looked up.
PART_MODULES = {
    "network": "networks",
    "likelihood": "likelihoods",
    "posterior": "posteriors",
    "prior": "priors",
    "scaling": "scaling",
    "corruption": "corruptions",
    "objective": "objectives",
}

_T = TypeVar("_T")


@dataclasses.dataclass(kw_only=True, eq=False, repr=False)
class Fields(BaseEstimator):
    """The fields that every estimator has; each estimator documents them."""

    n_components: int = dataclasses.field(default=2, kw_only=False)
    hidden_layer_sizes: int | tuple[int, ...] = (256, 128)
    activation: str = "elu"
    network: str | Part = "mlp"
    image_shape: tuple[int, ...] | None = None
    likelihood: str | Part = "gaussian"
    scaling: str | Part = "auto"
    corruption: str | Part = "none"
    penalties: Sequence[str | Part] = ()
    max_epochs: int = 100
    batch_size: int = 128
    gradient_accumulation: int = 1
    learning_rate: float = 3e-3
    encoder_learning_rate: float | None = None
    schedule: str = "one_cycle"
    weight_decay: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.999)
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    random_state: Any = None
    device: str = "auto"
    precision: str = "float32"
    compile: bool = False
    warm_start: bool = False
    verbose: int = 0
    callbacks: Sequence[Callable[[dict[str, float]], object]] = ()
    loggers: Sequence[Any] = ()
    checkpoint_dir: str | None = None
    checkpoint_seconds: float = 30.0

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the fields by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the hyperparameters of parts, as ``likelihood__scale``, also of parts that are named by
            a string.

        Returns
        -------
        dict
            Everything that :meth:`set_params` takes.
        """
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for field, value in list(params.items()):
                part: Any = self._named_part(field) if isinstance(value, str) else value
                if hasattr(part, "get_params") and not isinstance(part, type):
                    params |= {f"{field}__{name}": inner for name, inner in part.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set fields, and hyperparameters of parts as ``likelihood__scale=0.5``.

        A part that is named by a string is replaced by an object: ``likelihood="gaussian"`` becomes
        ``Gaussian(scale=0.5)``.

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
        nested = {key: value for key, value in params.items() if "__" in key and key.partition("__")[0] in fields}
        super().set_params(**{key: value for key, value in params.items() if key not in nested})
        for key, value in nested.items():
            field, _, name = key.partition("__")
            current = getattr(self, field)
            part: Any = self._named_part(field) if isinstance(current, str) else current
            if not hasattr(part, "set_params"):
                named = f" ({', '.join(find_parts(PART_MODULES[field]))})" if field in PART_MODULES else ""
                raise ValueError(f"{key}: {field}={current!r} has no parameters; set {field}{named} as well.")
            part.set_params(**{name: value})
            if not isinstance(current, str) or part != self._named_part(field):
                setattr(self, field, part)
        return self

    def _named_part(self, field: str) -> Part | None:
        """Return the part that a field names, or None if it names none."""
        cls = find_parts(PART_MODULES[field]).get(getattr(self, field)) if field in PART_MODULES else None
        if cls is None:
            return None
        sizes = self._network_fields() if field == "network" else {}
        return cls(**{name: value for name, value in sizes.items() if name in cls.parameter_names()})

    def _network_fields(self) -> dict[str, Any]:
        """Return the fields that a network takes if it is named by a string."""
        return {
            "hidden_layer_sizes": layer_sizes(self.hidden_layer_sizes),
            "activation": self.activation,
            "image_shape": self.image_shape,
        }


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
                raise TypeError(str(unknown_name(f"parameter of {made.__name__}", name, names)))
        init(self, *args, **kwargs)

    setattr(made, "__init__", checked)  # noqa: B010 - mypy refuses to assign to a method
    return made


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
