"""The decoder of a model as numbers that a page evaluates by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isthmus.explorer._bundle import as_base64
from isthmus.explorer._cells import Cells
from isthmus.explorer._explorer import Explorer
from isthmus.explorer._rows import Images
from isthmus.likelihoods import Bernoulli, Gaussian, Laplace, Likelihood, Poisson, StudentT
from isthmus.networks import MLP

__all__ = ["MAX_NUMBERS", "pack_decoder"]

MAX_NUMBERS = 1_000_000  # weights and biases: 5.3 MB of text
_MEANS: dict[type[Likelihood], str] = {  # what static/decoder.js makes of the network's outputs
    Gaussian: "identity",
    Laplace: "identity",
    StudentT: "identity",
    Bernoulli: "sigmoid",
    Poisson: "exp",
}


def pack_decoder(explorer: Explorer) -> dict[str, Any] | None:
    """Return the decoder for JSON, or None if the page has to show rows that were decoded beforehand.

    That is so for a table, if the network is not an MLP, if the mean of the likelihood is more than a function of each
    output, if rows are averages over classes, and if the decoder has more than 1,000,000 numbers. Only the outputs that
    are shown are kept, in the order in which they are shown. The values at which condition columns start are added to
    the biases.
    """
    model = explorer.model.model_
    network, mean = model.network, _MEANS.get(type(model.likelihood))
    if explorer.model._codec is not None or type(network) is not MLP or mean is None:
        return None
    if explorer.conditions.classes is not None:
        return None
    shown = _shown(explorer)
    layers = [[values.detach().double().cpu().numpy() for values in layer[:2]] for layer in network.decoder_layers()]
    layers[-1] = [values[shown] for values in layers[-1]]
    skip = network.decoder_skip_weight.detach().double().cpu().numpy()[shown] if network.has_skip else None
    n_units, given = explorer.n_units, explorer.given(None)
    if given:
        condition = np.asarray(explorer.model._condition.encode(given[0], 1), dtype=np.float64)[0]
        layers[0] = [layers[0][0][:, :n_units], layers[0][1] + layers[0][0][:, n_units:] @ condition]
        if skip is not None:
            layers[-1][1] = layers[-1][1] + skip[:, n_units:] @ condition
            skip = skip[:, :n_units]
    n = sum(values.size for layer in layers for values in layer) + (0 if skip is None else skip.size)
    if n > MAX_NUMBERS:
        return None
    scaling = model.scaling
    varies = torch.isinf(scaling.constant)
    scale, shift = torch.where(varies, scaling.scale, 0.0), torch.where(varies, scaling.shift, scaling.constant)
    return {
        "n_numbers": n,
        "layers": [{"weight": _pack(weight), "bias": _pack(bias)} for weight, bias in layers],
        "activation": network.activation,
        "skip": None if skip is None else _pack(skip),
        "mean": mean,
        "scale": _pack(scale.cpu().numpy()[shown], "<f8"),
        "shift": _pack(shift.cpu().numpy()[shown], "<f8"),
        "ranges": explorer.rows.ranges if isinstance(explorer.rows, Cells) else None,
    }


def _shown(explorer: Explorer) -> np.ndarray:
    """Return the features that are shown, in their order on the page: pixels with their channels last."""
    rows = explorer.rows
    if isinstance(rows, Cells):
        return np.arange(len(rows.shown))
    assert isinstance(rows, Images)
    order = np.arange(rows.n_cells * rows.channels)
    return order.reshape(rows.channels, -1).T.ravel() if rows.channels_first else order


def _pack(values: np.ndarray, dtype: str = "<f4") -> str:
    return as_base64(values.astype(dtype).tobytes())
