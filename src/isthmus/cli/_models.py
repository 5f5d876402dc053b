"""From names to estimators: which class, which fields, which parts."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus._names import nearest

if TYPE_CHECKING:
    from isthmus._part import Part
    from isthmus.data import Dataset

__all__ = ["MODELS", "ROOMS", "build", "class_name", "known_parts", "load_model", "loading", "plain", "public_class"]

MODELS = {
    "autoencoder": "Autoencoder",
    "sparse": "SparseAutoencoder",
    "denoising": "DenoisingAutoencoder",
    "contractive": "ContractiveAutoencoder",
    "vae": "VAE",
    "conditional_vae": "ConditionalVAE",
}

# Where the names that a field takes are looked up.
ROOMS = {
    "network": "networks",
    "likelihood": "likelihoods",
    "posterior": "posteriors",
    "prior": "priors",
    "scaling": "scaling",
    "corruption": "corruptions",
    "penalties": "penalties",
    "objective": "objectives",
}
_WEIGHTS = ("beta", "weight")  # numbers, or a schedule of them


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Tell a terminal what it waits for while torch is imported, which takes seconds."""
    shown = sys.stderr.isatty() and "torch" not in sys.modules
    if shown:
        sys.stderr.write("loading PyTorch and scikit-learn ...")
        sys.stderr.flush()
    try:
        importlib.import_module("isthmus.estimators")
        yield
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def class_name(model: object) -> str:
    """Return the class of a model's name: "sparse", "sparse_autoencoder" or "SparseAutoencoder".

    Raises
    ------
    ValueError
        If there is no such model; the message has the nearest one.

    Examples
    --------
    >>> class_name("sparse-autoencoder"), class_name("VAE")
    ('SparseAutoencoder', 'VAE')
    """
    for name, cls in MODELS.items():
        if plain(str(model)) in (plain(name), plain(cls)):
            return cls
    if plain(str(model)) == "cvae":
        return "ConditionalVAE"
    raise nearest("model", str(model), MODELS)


def plain(name: str) -> str:
    """Return a name without what people write differently: "top_k", "TopK" and "top-k" are one."""
    return name.lower().replace("_", "").replace("-", "")


def public_class(name: str) -> Any:
    """Return an estimator's class by its name."""
    with loading():
        import isthmus

        return getattr(isthmus, name)


def load_model(path: str) -> Any:
    """Read a saved model."""
    from pathlib import Path

    if not Path(path).exists():  # before torch is imported
        raise ValueError(f"{path}: there is no such model; `isthmus fit DATA -m vae -o {path}` makes one.")
    with loading():
        import isthmus

        return isthmus.load(path)


# ---- fields ---------------------------------------------------------------------------------------------------------


def build(cls: Any, given: Mapping[str, Any], rows: Dataset) -> Any:
    """Return an estimator with the fields that were typed.

    Parameters
    ----------
    cls : type
        An estimator.
    given : mapping of str to object
        Fields, and hyperparameters of parts as ``likelihood__scale``.
    rows : Dataset
        What it will be fitted to: a convolutional network takes the shape of images from it.

    Raises
    ------
    ValueError
        If a name is unknown (the message has the nearest), or a value has the wrong type.
    """
    from isthmus.cli._fields import checked, field_types

    types = field_types(cls)
    for name in given:
        field = name.partition("__")[0]
        if field in ("callbacks", "loggers"):
            also = "; --log FILE writes every epoch's numbers" if field == "loggers" else ""
            raise ValueError(f"{field} are objects, which can only be passed from Python{also}.")
        if field not in types:
            raise nearest(f"parameter of {cls.__name__}", field, types)
    given = _with_image_shape(given, rows)
    own = {name: checked(name, value, types[name]) for name, value in given.items() if "__" not in name}
    estimator = cls(**own)
    sizes = estimator.get_params(deep=False)
    parts = {name: _as_part(name, value, sizes) for name, value in own.items()}
    for name in [name for name in given if name not in own]:
        field, _, rest = name.partition("__")
        part = parts[field] = _named(field, parts.get(field, sizes[field]), name, sizes)
        _set(part, rest, given[name])
    return estimator.set_params(**parts)


def _with_image_shape(given: Mapping[str, Any], rows: Dataset) -> Mapping[str, Any]:
    """Add the shape of the images in `rows`, where a convolutional network is asked for without it."""
    network = given.get("network")
    if isinstance(network, dict):
        network = network.get("part")
    if network != "conv" or "image_shape" in given or rows.image_shape is None:
        return given
    shape = rows.image_shape
    if len(shape) == 3 and shape[0] not in (1, 3, 4) and shape[-1] in (1, 3, 4):
        raise ValueError(
            f"{rows.name}: images of {' x '.join(map(str, shape))} have their channels last; network=conv takes "
            "(channels, height, width): transpose them first."
        )
    return {**given, "image_shape": list(shape)}


# ---- parts ----------------------------------------------------------------------------------------------------------


def known_parts(field: str) -> dict[str, type[Part]]:
    """Return the parts that a field may name."""
    from isthmus._part import find
    from isthmus.penalties import Warmup

    if field in _WEIGHTS:
        return {"warmup": Warmup}
    return find(ROOMS[field]) if field in ROOMS else {}


def _as_part(field: str, value: Any, sizes: Mapping[str, Any]) -> Any:
    """Return `value` with every ``{part = "gaussian", scale = 0.5}`` in it made into that part."""
    if isinstance(value, tuple):
        return tuple(_as_part(field, item, sizes) for item in value)
    if field in _WEIGHTS and isinstance(value, str):
        return _make(field, value, {})
    if not isinstance(value, dict):
        return value
    if not isinstance(value.get("part"), str):
        raise ValueError(f'{field}={value!r} must name its part: {field} = {{part = "...", ...}}.')
    part = _make(field, value["part"], sizes)
    for name, inner in value.items():
        if name != "part":
            _set(part, name, inner)
    return part


def _make(field: str, name: str, sizes: Mapping[str, Any]) -> Part:
    """Return the part called `name`; a network takes its sizes from the estimator's fields."""
    known = known_parts(field)
    if name not in known:
        raise nearest(field, name, known)
    cls = known[name]
    defaults = {k: v for k, v in sizes.items() if k in cls.parameter_names()} if field == "network" else {}
    return cls(**defaults)


def _named(field: str, value: Any, name: str, sizes: Mapping[str, Any]) -> Any:
    """Return the part that ``field__name=...`` speaks of."""
    if isinstance(value, str) and field in ROOMS and (field, value) != ("scaling", "auto"):
        return _make(field, value, sizes)
    if not hasattr(value, "set_params"):
        known = ", ".join(known_parts(field))
        hint = f"is {value!r}; name a part for it as well: {known}" if known else "has no parameters of its own"
        raise ValueError(f"{name}: {field} {hint}.")
    return value


def _set(part: Part, name: str, value: Any) -> None:
    """Set one hyperparameter of a part, ``scale`` or ``weight__over``, from a typed value."""
    from isthmus.cli._fields import checked, part_types

    name, _, rest = name.partition("__")
    types = part_types(type(part))
    if name not in types:
        raise nearest(f"parameter of {type(part).__name__}", name, types)
    if rest:
        inner = _named(name, getattr(part, name), f"{name}__{rest}", {})
        part.set_params(**{name: inner})
        _set(inner, rest, value)
    else:
        where = f"{type(part).__name__}: {name}"
        part.set_params(**{name: _as_part(name, checked(where, value, types[name]), {})})
