"""Normalising flows, by zuko: an extra, imported only where one is built."""

from __future__ import annotations

from typing import Any

__all__ = ["coupling_flow"]


def coupling_flow(n_features: int, n_context: int, n_layers: int, hidden_layer_sizes: tuple[int, ...]) -> Any:
    """Return a flow of rational quadratic spline coupling layers, which is fast in both directions.

    Parameters
    ----------
    n_features : int
        Dimensions of the flow's variable.
    n_context : int
        Width of what it is conditioned on; 0 for nothing.
    n_layers : int
        Coupling layers.
    hidden_layer_sizes : tuple of int
        Widths of the networks inside each.

    Raises
    ------
    ImportError
        If zuko is not installed; the message has the command.
    """
    try:
        import zuko
    except ImportError as error:
        raise ImportError('A flow needs zuko: pip install "isthmus[flow]".') from error
    return zuko.flows.NSF(
        n_features, n_context, transforms=n_layers, hidden_features=hidden_layer_sizes, passes=min(2, n_features)
    )
