"""Normalizing flows of zuko, an optional dependency that is imported when a flow is built."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from isthmus._tensor_shapes import AtLeast

__all__ = ["coupling_flow", "coupling_flow_size"]

_N_BINS = 8  # of a spline, which has two numbers for each, and one for each boundary between two


def coupling_flow(n_features: int, n_context: int, n_layers: int, hidden_layer_sizes: tuple[int, ...]) -> Any:
    """Return a flow of rational quadratic spline coupling layers, which is fast in both directions.

    Parameters
    ----------
    n_features : int
        Dimension of the variable.
    n_context : int
        Dimension of the context that the flow is conditioned on; 0 without one.
    n_layers : int
        Number of coupling layers.
    hidden_layer_sizes : tuple of int
        Hidden layer sizes of the networks inside each layer.

    Raises
    ------
    ValueError
        If there is no layer.
    ImportError
        If zuko is not installed; the message says how to install it.
    """
    if n_layers < 1:
        raise ValueError(f"n_layers={n_layers!r} must be a whole number of at least 1.")
    try:
        import zuko
    except ImportError as error:
        raise ImportError('A flow needs zuko: pip install "isthmus[flow]".') from error
    return zuko.flows.NSF(
        n_features,
        n_context,
        transforms=n_layers,
        hidden_features=hidden_layer_sizes,
        passes=min(2, n_features),
        bins=_N_BINS,
    )


def coupling_flow_size(n_features: int, n_context: int, n_layers: int, hidden_layer_sizes: tuple[int, ...]) -> AtLeast:
    """Return the least that such a flow has: the weights and biases of its networks. Their names are zuko's."""
    if n_features == 1 and n_context == 0:  # a spline without a network
        return AtLeast(3 * n_layers, (3 * _N_BINS - 1) * n_layers)
    widths = [n_features * (n_features > 1) + n_context, *hidden_layer_sizes, n_features * (3 * _N_BINS - 1)]
    n_numbers = sum((a + 1) * b for a, b in pairwise(widths))
    return AtLeast(2 * n_layers * (len(widths) - 1), n_layers * n_numbers)
