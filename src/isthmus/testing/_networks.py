"""The check of networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus._activations import activation
from isthmus._random import seeded
from isthmus.networks import Network, Sizes, join_inputs
from isthmus.testing._parts import check_part
from isthmus.testing._state import check_state
from isthmus.testing._tools import BATCH_SHAPES, close, normal, perturb, require

__all__ = ["check_network"]


def check_network(network: Network, sizes: Sizes) -> None:
    """Check a network: leading dimensions, conditions, masks, gradients and encoder layers.

    Parameters
    ----------
    network : Network
        An unbuilt network.
    sizes : Sizes
        Sizes to build it for.
    """
    check_part(network)
    built = network.clone()
    with seeded(0):
        built.build(sizes)
    perturb(built)
    for lead in BATCH_SHAPES:
        c = normal(*lead, sizes.n_conditions, seed=1) if sizes.n_conditions else None
        h = built.encode(normal(*lead, sizes.n_features), c)
        require(h.shape == (*lead, sizes.n_encoder_outputs), f"{built!r}: encode must be (..., n_encoder_outputs).")
        out = built.decode(h[..., : sizes.n_components], c)
        require(out.shape == (*lead, sizes.n_decoder_outputs), f"{built!r}: decode must be (..., n_decoder_outputs).")
    x, c = normal(4, sizes.n_features, seed=2), normal(4, sizes.n_conditions, seed=3) if sizes.n_conditions else None
    h = built.encode(x, c)
    out = built.decode(h[:, : sizes.n_components], c)
    (h.square().sum() + out.square().sum()).backward()
    idle = [name for name, p in built.named_parameters() if p.grad is None or not p.grad.any()]
    require(not idle, f"{built!r}: no gradient reaches {idle}.")
    alone = built.encode(x[1:2], None if c is None else c[1:2])
    close(alone, h[1:2], f"{built!r}: a sample must not depend on the others.")
    _network_state(built, x, c)
    _network_mask(built, x, c, h)
    _network_ends(built, x, c, out)
    built.zero_grad()
    built.decode(h[:, : sizes.n_components].detach(), c).square().sum().backward()
    shared = [p for p in built.encoder_parameters() if p.grad is not None]
    require(not shared, f"{built!r}: encoder_parameters must be parameters that decode does not use.")


def _network_state(net: Network, x: Tensor, c: Tensor | None) -> None:
    def outputs(part: Any, inputs: list[Tensor]) -> list[Tensor]:
        x, z, mask, *c = inputs
        return [part.encode(x, c[0] if c else None, mask), part.decode(z, *c)]

    z = normal(len(x), net.sizes.n_components, seed=6)
    mask = (normal(*x.shape, seed=5) > 0).to(x)
    check_state(net, lambda part: part.build(net.sizes), outputs, x, z, mask, *([] if c is None else [c]))


def _network_mask(net: Network, x: Tensor, c: Tensor | None, h: Tensor) -> None:
    close(net.encode(x, c, torch.ones_like(x)), h, f"{net!r}: a mask of None must equal a mask of ones.")
    mask = (normal(*x.shape, seed=4) > 0).to(x)
    sees = not torch.allclose(net.encode(x, c, mask), h)
    require(sees == net.sizes.masked, f"{net!r}: must use the mask if, and only if, it is built with one.")


def _network_ends(net: Network, x: Tensor, c: Tensor | None, out: Tensor) -> None:
    k = net.sizes.n_components
    layers = net.encoder_layers()
    if layers is not None:
        h = join_inputs(net.sizes, x, c)
        for layer in layers:
            h = activation(layer.activation)(h @ layer.weight.T + layer.bias)
        skip = net.encoder_skip()
        h = h if skip is None else h + join_inputs(net.sizes, x, c) @ skip.T
        close(h, net.encode(x, c)[:, :k], f"{net!r}: encoder_layers must map the joined inputs to the first K outputs.")
    weights, bias = net.decoder_weights(), net.output_bias
    require(not weights or weights[0].shape[1] == k, f"{net!r}: decoder_weights()[0] must have a column for each unit.")
    if bias is not None:
        with torch.no_grad():
            bias.add_(1.0)
        moved = net.decode(net.encode(x, c)[:, :k], c)
        close(moved, out + 1, f"{net!r}: output_bias must be added to the decoder's outputs.")
