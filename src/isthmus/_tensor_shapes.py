"""Names and shapes of the tensors that parts save, computed from their hyperparameters alone.

A file that describes a model must hold these tensors. Comparing the two before the model is built means that a file
cannot ask for more memory than it accounts for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from isthmus._part import Part

__all__ = ["AtLeast", "TensorShape", "dense_shapes", "is_own", "within"]


class AtLeast(NamedTuple):
    """Tensors whose names and shapes are not known in advance, of which there are at least so many.

    Attributes
    ----------
    n_tensors : int
        Their number.
    n_numbers : int
        The sum of their sizes.
    """

    n_tensors: int = 0
    n_numbers: int = 0


# A name and a shape; or the beginning of names, and what is known of these tensors.
TensorShape = tuple[str, tuple[int, ...] | AtLeast]


def dense_shapes(name: str, widths: Sequence[int]) -> Iterator[TensorShape]:
    """Yield the tensors of linear layers between consecutive widths."""
    for i, (n_inputs, n_outputs) in enumerate(pairwise(widths)):
        yield f"{name}.{i}.weight", (n_outputs, n_inputs)
        yield f"{name}.{i}.bias", (n_outputs,)


def within(name: str, shapes: Iterable[TensorShape]) -> Iterator[TensorShape]:
    """Yield the tensors of the submodule `name`."""
    for inner, shape in shapes:
        yield f"{name}.{inner}", shape


def is_own(part: Part) -> bool:
    """Return whether a part, and all parts among its parameters, are of isthmus: only their shapes are known."""
    if type(part).__module__.partition(".")[0] != "isthmus":
        return False
    values = part.get_params(deep=False).values()
    inner = [v for value in values for v in (value if isinstance(value, (list, tuple)) else [value])]
    return all(is_own(value) for value in inner if isinstance(value, Part))
