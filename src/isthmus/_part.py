"""The base class of all parts of a model: they are described first and built later."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import re
from abc import ABC
from typing import Any, ClassVar, Self, TypeVar

from torch import nn

from isthmus._names import UnknownNameError, unknown_name

__all__ = ["Part", "Settings", "UnknownNameError", "find_parts", "resolve"]

_S = TypeVar("_S", bound="Settings")


class Settings:
    """Base of objects that are their parameters: parts of a model, optimizers, trainers.

    ``__init__`` only stores parameters under their own names, as a dataclass does. ``repr``, equality, ``clone``, the
    JSON of a saved file and ``--set`` of the command line follow from them.
    """

    @classmethod
    @functools.cache
    def parameter_names(cls) -> list[str]:
        """Return the names of the parameters, in the order of ``__init__``."""
        if cls.__init__ in (object.__init__, nn.Module.__init__):
            return []
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, those of nested settings as ``name__inner``, as scikit-learn does."""
        params: dict[str, Any] = {name: getattr(self, name) for name in self.parameter_names()}
        if deep:
            for name, value in list(params.items()):
                if isinstance(value, Settings):
                    params |= {f"{name}__{k}": v for k, v in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name (``scale=2.0``, ``inner__scale=2.0``) and return self."""
        names = self.parameter_names()
        for key, value in params.items():
            name, _, rest = key.partition("__")
            if name not in names:
                raise unknown_name(f"parameter of {type(self).__name__}", name, names)
            if rest:
                getattr(self, name).set_params(**{rest: value})
            else:
                setattr(self, name, value)
        return self

    def clone(self) -> Self:
        """Return a new object with the same parameters; a part is unbuilt then, and ``fit`` builds it."""
        return type(self)(**{k: _clone(v) for k, v in self.get_params(deep=False).items()})

    def __repr__(self) -> str:
        signature = inspect.signature(type(self).__init__).parameters
        shown = [
            f"{name}={value!r}"
            for name, value in self.get_params(deep=False).items()
            if not _same(value, signature[name].default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Settings) or type(self) is not type(other):
            return False
        mine, theirs = self.get_params(deep=False), other.get_params(deep=False)
        return all(_same(mine[name], theirs[name]) for name in mine)

    __hash__ = object.__hash__


class Part(Settings, nn.Module, ABC):
    r"""A likelihood, posterior, prior, penalty, corruption, network, scaling or objective.

    ``__init__`` only stores hyperparameters under their own names, as a dataclass does; ``build(...)`` makes the
    tensors.

    Two parts are equal if their hyperparameters are. Hashing is by identity, because :class:`torch.nn.Module` keeps
    modules in sets, and two layers with the same hyperparameters are two modules.
    """

    # Names of tensors of this class whose numbers must be positive, and of those that may hold inf; others are finite.
    positive_tensors: ClassVar[tuple[str, ...]] = ()
    infinite_tensors: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Initialize the module before the generated ``__init__`` of a dataclass assigns to it."""
        self = super().__new__(cls)
        nn.Module.__init__(self)
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        # A part given as a hyperparameter is a description, not a submodule. nn.Module would also store it where the
        # default of a dataclass field, a class attribute, hides it.
        if name in self.parameter_names():
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def numbers_per_row(self) -> int:
        """The most numbers that a tensor inside this built part holds for one row; chunks of rows are sized by it.

        By default the largest dimension of any parameter, which is right for dense layers.
        """
        return max((size for parameter in self.parameters() for size in parameter.shape), default=1)


def _clone(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.clone()
    if isinstance(value, (list, tuple)):
        return type(value)(_clone(v) for v in value)
    return copy.deepcopy(value)


def _same(a: Any, b: Any) -> bool:
    # The `==` of two arrays is an array, so values are compared one by one.
    if type(a) is not type(b) and not (isinstance(a, (int, float)) and isinstance(b, (int, float))):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@functools.cache  # a mixed likelihood may have thousands of parts that are looked up
def find_parts(module_name: str) -> dict[str, type[Settings]]:
    """Return the parts in ``__all__`` of a module, by their names in snake case.

    Parameters
    ----------
    module_name : str
        A module of isthmus: "likelihoods", "posteriors", "priors", "penalties", "corruptions",
        "networks", "scaling", "objectives" or "optimizers".

    Examples
    --------
    >>> sorted(find_parts("corruptions"))
    ['gaussian_noise', 'masking', 'none', 'salt_and_pepper', 'uniform_noise', 'varying_noise']
    """
    module = importlib.import_module(f"isthmus.{module_name}")
    classes = {name: getattr(module, name) for name in module.__all__}
    return {
        getattr(cls, "alias", None) or re.sub("(?<=[^A-Z])(?=[A-Z])", "_", name).lower(): cls
        for name, cls in classes.items()
        if isinstance(cls, type)
        and issubclass(cls, Settings)
        and not inspect.isabstract(cls)
        and not {Settings, Part} & {*cls.__bases__}
    }


def resolve(module_name: str, value: str | Settings, base: type[_S], **defaults: Any) -> _S:
    """Return a new, unbuilt part given its name or a part to clone.

    Parameters
    ----------
    module_name : str
        The module in which a name is looked up (see :func:`find_parts`).
    value : str or Settings
        "gaussian", or ``Gaussian(scale=0.5)``, which is cloned and never changed.
    base : type
        The class that the part must inherit from.
    **defaults
        Hyperparameters of a part given by name, as far as its class has them.

    Raises
    ------
    UnknownNameError
        If no part has that name; the message suggests the nearest one.
    TypeError
        If `value` is neither a name nor a `base`.
    """
    kind = base.__name__.lower()
    if isinstance(value, base):
        return value.clone()
    if not isinstance(value, str):
        raise TypeError(f"{kind} must be a name or a {base.__name__} object, got {value!r}.")
    known = find_parts(module_name)
    if value not in known:
        raise unknown_name(kind, value, known)
    cls = known[value]
    part = cls(**{k: v for k, v in defaults.items() if k in cls.parameter_names()})
    assert isinstance(part, base)  # all parts of a module inherit from its base
    return part
