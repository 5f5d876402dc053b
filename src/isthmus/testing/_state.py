"""Checks of what a part keeps: that a file holds all of it, and that it follows the model to a dtype and a device."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from isthmus import serialization
from isthmus._part import Part
from isthmus._random import seeded
from isthmus.testing._tools import require

__all__ = ["check_state"]

_Outputs = Callable[[Any, list[Tensor]], list[Tensor]]

# What torch says of an operation whose result depends on numbers, which a tensor without numbers does not have.
_NEEDS_NUMBERS = ("meta tensor", "Meta tensor", "data-dependent", "on meta", "Meta functions")


def check_state(built: Part, build: Callable[[Any], object], outputs: _Outputs, *inputs: Tensor) -> None:
    """Check that a built part comes back from a file, and computes in any dtype and on any device.

    Parameters
    ----------
    built : Part
        A built part in float64 that has seen data, and whose tensors have other values than ``build`` gives them.
    build : callable
        Builds another part in the same way.
    outputs : callable
        ``(part, inputs) -> list of Tensor``: what the part computes, without random numbers.
    *inputs : Tensor
        Its inputs, in float64.
    """
    name = type(built).__name__
    again = _from_file(built, build)
    own, other = (outputs(part, list(inputs)) for part in (built, again))
    for a, b in zip(own, other, strict=True):
        require(
            torch.equal(a, b),
            f"{name}: must compute the same after it was saved: what it keeps must be hyperparameters or tensors that "
            "are registered as parameters or buffers.",
        )
    _check_dtype(again, outputs, inputs)
    _check_device(_from_file(built, build), outputs, inputs)


def _from_file(built: Part, build: Callable[[Any], object]) -> Part:
    """Return what a file would give back: hyperparameters as JSON, and the saved tensors."""
    classes = {type(part): None for part in built.modules() if isinstance(part, Part)}
    text = json.dumps(serialization.encode(built), allow_nan=False)
    again: Part = serialization.decode(json.loads(text), tuple(classes))
    with seeded(1):
        build(again)
    again.double()
    saved, own = ({key: tuple(t.shape) for key, t in part.state_dict().items()} for part in (built, again))
    require(saved == own, f"{type(built).__name__}: build must make the tensors {saved} from the saved parameters.")
    again.load_state_dict(built.state_dict())
    return again.eval()


def _check_dtype(part: Part, outputs: _Outputs, inputs: tuple[Tensor, ...]) -> None:
    for dtype in (torch.float32, torch.float64):
        part.to(dtype)
        results = outputs(part, [value.to(dtype) for value in inputs])
        kinds = {value.dtype for value in results if value.is_floating_point()}
        require(kinds <= {dtype}, f"{type(part).__name__}: must keep {dtype} of model and inputs, not {kinds}.")


def _check_device(part: Part, outputs: _Outputs, inputs: tuple[Tensor, ...]) -> None:
    """Check the device by that of tensors without numbers, which every machine has."""
    try:
        results = outputs(part.to("meta"), [value.to("meta") for value in inputs])
    except (RuntimeError, NotImplementedError) as error:
        if any(words in str(error) for words in _NEEDS_NUMBERS) and "same device" not in str(error):
            return
        raise AssertionError(
            f"{type(part).__name__}: must compute on the device of model and inputs: {error}"
        ) from error
    kinds = {value.device.type for value in results}
    require(kinds <= {"meta"}, f"{type(part).__name__}: must compute on the device of model and inputs, not {kinds}.")
