"""Build estimators from fields given as text, and the parts that fields name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from isthmus._names import PART_MODULES, unknown_name

if TYPE_CHECKING:
    from isthmus._part import Settings
    from isthmus.data import Dataset

__all__ = ["build", "known_parts"]

_BY_COLUMN = ("likelihood", "likelihoods", "kinds")  # fields that take a table of columns
_WEIGHTS = ("beta", "sparsity", "weight")  # fields that take a number or a schedule


def build(cls: Any, given: Mapping[str, Any], rows: Dataset) -> Any:
    """Return an estimator with the given fields.

    Parameters
    ----------
    cls : type
        The class of the estimator.
    given : mapping of str to object
        Values of fields, and of hyperparameters of parts as ``likelihood__scale``.
    rows : Dataset
        The training data, which give a convolutional network the shape of images.

    Raises
    ------
    ValueError
        If a name is unknown (the message suggests the nearest), or a value has the wrong type.
    """
    from isthmus.cli._fields import checked, field_types

    types = field_types(cls)
    for name in given:
        _check_field(cls, name, types)
    given = _with_image_shape(given, rows)
    own = {name: checked(name, value, types[name]) for name, value in given.items() if "__" not in name}
    estimator = cls(**own)
    fields = estimator.get_params(deep=False)
    parts = {name: _as_part(name, value) for name, value in own.items()}
    for name in [name for name in given if name not in own]:
        field, _, rest = name.partition("__")
        part = parts[field] = _part_of(field, parts.get(field, fields[field]), name)
        _set(part, rest, given[name])
    return estimator.set_params(**parts)


def _check_field(cls: Any, name: str, types: Mapping[str, Any]) -> None:
    """Raise if a field does not exist, or takes objects, which cannot be given as text."""
    from isthmus.estimators._fields import find_place

    field, _, rest = name.partition("__")
    if (field, rest) == ("trainer", "callbacks"):
        raise ValueError(
            "trainer.callbacks: are functions and objects, which can only be passed in Python; --log FILE writes the "
            "losses of each epoch."
        )
    if field in types:
        return
    if place := find_place(field, types):
        raise ValueError(f"{field}: is a parameter of {place.field}; set {place.field}.{place.name}.")
    raise unknown_name(f"parameter of {cls.__name__}", field, types)


def _with_image_shape(given: Mapping[str, Any], rows: Dataset) -> Mapping[str, Any]:
    """Add the image shape of the rows for a convolutional network, unless it is given."""
    network = given.get("network")
    name = network.get("part") if isinstance(network, dict) else network
    by_table = isinstance(network, dict) and "image_shape" in network
    if name != "conv" or by_table or "network__image_shape" in given or rows.image_shape is None:
        return given
    shape = rows.image_shape
    if len(shape) == 3 and shape[0] not in (1, 3, 4) and shape[-1] in (1, 3, 4):
        raise ValueError(
            f"{rows.name}: images of shape {' x '.join(map(str, shape))} have their channels last, but network=conv "
            "expects (channels, height, width); transpose them first."
        )
    return {**given, "network__image_shape": list(shape)}


# ---- parts ---------------------------------------------------------------------------------------------------


def known_parts(field: str) -> dict[str, type[Settings]]:
    """Return the parts that a field can name, by name."""
    from isthmus._part import find_parts
    from isthmus.penalties import Warmup
    from isthmus.training import EarlyStopping, Trainer

    if field in _WEIGHTS:
        return {"warmup": Warmup}
    if field in (one_class := {"early_stopping": EarlyStopping, "trainer": Trainer}):
        return {field: one_class[field]}
    found = find_parts(PART_MODULES[field]) if field in PART_MODULES else {}
    if field == "scaling":
        from isthmus.tables import TableCodec

        found = {**found, "table_codec": TableCodec}
    return found


def _as_part(field: str, value: Any) -> Any:
    """Return `value` with every table such as ``{part = "gaussian", scale = 0.5}`` replaced by the part.

    A table without a part holds the likelihoods, or the kinds, of columns by name.
    """
    if isinstance(value, tuple):
        return tuple(_as_part(field, item) for item in value)
    if field in _WEIGHTS and isinstance(value, str):
        return _make(field, value)
    if not isinstance(value, dict):
        return value
    if field in _BY_COLUMN and "part" not in value and all(isinstance(v, (str, dict)) for v in value.values()):
        return {column: _as_part("likelihood", inner) for column, inner in value.items()}
    if not isinstance(value.get("part"), str):
        raise ValueError(f'{field}={value!r} must name its part: {field} = {{part = "...", ...}}.')
    part = _make(field, value["part"])
    for name, inner in value.items():
        if name != "part":
            _set(part, name, inner)
    return part


def _make(field: str, name: str) -> Settings:
    """Return the part called `name`."""
    known = known_parts(field)
    if name not in known:
        raise unknown_name(field, name, known)
    return known[name]()


def _part_of(field: str, value: Any, name: str) -> Any:
    """Return the part whose hyperparameter ``field__name`` is set."""
    from isthmus.estimators._fields import as_part

    if isinstance(value, str) and field in PART_MODULES and (field, value) != ("scaling", "auto"):
        return _make(field, value)
    part = as_part(field, True if (field, value) == ("early_stopping", "auto") else value)
    if not hasattr(part, "set_params"):
        known = ", ".join(known_parts(field))
        hint = f"is {value!r}; set it to one of: {known}" if known else "has no parameters of its own"
        raise ValueError(f"{name}: {field} {hint}.")
    return part


def _set(part: Settings, name: str, value: Any) -> None:
    """Set a hyperparameter of a part, ``scale`` or ``weight__over``, from a value given as text."""
    from isthmus.cli._fields import checked, part_types

    name, _, rest = name.partition("__")
    types = part_types(type(part))
    if not types:
        raise ValueError(f"{type(part).__name__} has no parameter {name!r}, nor any other.")
    if name not in types:
        raise unknown_name(f"parameter of {type(part).__name__}", name, types)
    if rest:
        inner = _part_of(name, getattr(part, name), f"{name}__{rest}")
        part.set_params(**{name: inner})
        _set(inner, rest, value)
    else:
        where = f"{type(part).__name__}: {name}"
        part.set_params(**{name: _as_part(name, checked(where, value, types[name]))})
