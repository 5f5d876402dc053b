"""The tensors of a saved model: compared with its description before it is built, and with the model after."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from isthmus._part import Part
from isthmus._tensor_shapes import AtLeast, TensorShape
from isthmus.model import Model
from isthmus.serialization import FileError, TensorInfo, quoted

__all__ = ["check_shapes", "check_values", "set_tensors"]

_OPTIONAL = "centre"  # of the model: whether there is one is known when it is built
_DTYPES = (torch.float32, torch.float64)


def check_shapes(described: Iterable[TensorShape], tensors: Mapping[str, TensorInfo]) -> None:
    """Raise a FileError at the first described tensor that a file does not hold, or if it holds others.

    Parameters
    ----------
    described : iterable of (str, tuple of int or AtLeast)
        What the model will have. It may be endless: nothing is read after a tensor that is not in the file.
    tensors : mapping of str to TensorInfo
        What the file holds.
    """
    n_found, complete = 0, True
    for name, shape in described:
        if isinstance(shape, AtLeast):
            if shape == AtLeast():
                complete = False
                continue
            found = [math.prod(info.shape) for other, info in tensors.items() if other.startswith(name)]
            if len(found) < shape.n_tensors or sum(found) < shape.n_numbers:
                raise FileError(f"its description needs more tensors {name}* than it holds; save the model again.")
            n_found += len(found)
        elif name not in tensors:
            raise FileError(f"its description needs a tensor {quoted(name)}, and it has none; save the model again.")
        elif tensors[name].shape != shape:
            raise _misfit(name)
        else:
            n_found += 1
    if complete and n_found + (_OPTIONAL in tensors) != len(tensors):
        raise FileError("it holds other tensors than its description needs; save the model again.")


def set_tensors(model: Model, tensors: dict[str, Tensor]) -> None:
    """Copy tensors into the built model, whose own must have the same names, shapes and dtypes."""
    dtypes = {tensors[name].dtype for name, _ in model.named_parameters() if name in tensors}
    if len(dtypes) != 1 or not dtypes <= set(_DTYPES):
        raise FileError("its parameters are not all float32, or all float64; save the model again.")
    model.to(dtypes.pop())  # the model takes the precision that it was trained in; its scaling stays in float64
    own = model.state_dict()
    if own.keys() != tensors.keys():
        name = min(own.keys() ^ tensors.keys())
        raise FileError(f"its tensors do not fit its description: {quoted(name)}; save the model again.")
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape or own[name].dtype != tensor.dtype:
            raise _misfit(name)
    with torch.no_grad():
        for name, tensor in tensors.items():  # load_state_dict takes time quadratic in the number of modules
            own[name].copy_(tensor)
    check_values(model)
    model.eval()


def check_values(model: nn.Module) -> None:
    """Raise a FileError that names a tensor with a number that is not finite, or not positive although it must be."""
    for path, tensor in model.state_dict().items():
        prefix, _, name = path.rpartition(".")
        module = model.get_submodule(prefix)
        positive = isinstance(module, Part) and name in module.positive_tensors
        infinite = isinstance(module, Part) and name in module.infinite_tensors
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        low, high = (float(extreme) for extreme in tensor.aminmax())  # takes no memory; NaN if there is one
        if math.isnan(low) or not (infinite or (math.isfinite(low) and math.isfinite(high))):
            raise FileError(f"its tensor {quoted(path)} holds a value that is not a finite number.")
        if positive and not low > 0:
            raise FileError(f"its tensor {quoted(path)} holds a value that is not positive.")


def _misfit(name: str) -> FileError:
    return FileError(f"its tensor {quoted(name)} has the wrong shape or type; save the model again.")
