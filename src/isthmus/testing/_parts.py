"""The check of hyperparameters, which is the same for every part."""

from __future__ import annotations

import copy
import json

from isthmus import serialization
from isthmus._part import Part
from isthmus.testing._tools import require

__all__ = ["check_part"]


def check_part(part: Part) -> None:
    """Check clone, equality, repr, parameters and JSON of a part, and that it has no tensor before ``build``.

    Parameters
    ----------
    part : Part
        Any unbuilt part.

    Examples
    --------
    >>> from isthmus.likelihoods import Gaussian
    >>> check_part(Gaussian(scale=0.5))
    """
    name = type(part).__name__
    params = part.get_params(deep=False)
    copied = part.clone()
    require(copied is not part and copied == part, f"{name}: clone() must be an equal part.")
    require(not copied.state_dict(), f"{name}: __init__ must only store hyperparameters; build() makes the tensors.")
    require(list(params) == part.parameter_names(), f"{name}: __init__ must store hyperparameters under their names.")
    require(part.clone().set_params(**params) == part, f"{name}: set_params(**get_params()) must change nothing.")
    require(copy.deepcopy(part) == part, f"{name}: a deep copy must be equal.")
    known = {type(value).__name__: type(value) for value in [part, *params.values()] if isinstance(value, Part)}
    require(eval(repr(part), dict(known)) == part, f"{name}: repr must be the call that makes the part, got {part!r}.")
    text = json.dumps(serialization.encode(part), allow_nan=False)
    require(
        serialization.decode(json.loads(text), tuple(known.values())) == part,
        f"{name}: JSON must describe the same part, not {text}.",
    )
    for key, value in params.items():
        if isinstance(value, float):
            require(part.clone().set_params(**{key: 2 * value + 1}) != part, f"{name}: equality must depend on {key}.")
