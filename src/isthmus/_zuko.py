"""Normalizing flows of zuko, an optional dependency that is imported when a flow is built."""

from __future__ import annotations

from typing import Any

__all__ = ["coupling_flow"]


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
        n_features, n_context, transforms=n_layers, hidden_features=hidden_layer_sizes, passes=min(2, n_features)
    )
