"""A network outside the library: convolutions whose code is a feature map, to impute pixels from their neighbours.

``network="conv"`` ends in dense layers and a vector, for codes of few units. A denoising autoencoder needs no narrow
code, since the corruption keeps it from copying; here each block of pixels has its own units.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from isthmus.networks import Network, Sizes

__all__ = ["Local", "local_fields"]

# Weights of the neighbours in the first guess of a pixel, by their distance d (5 x 5): 4^-d^2.
_OFFSETS = torch.arange(-2.0, 3.0).square()
_KERNEL = 4.0 ** -(_OFFSETS + _OFFSETS[:, None])


@dataclass(eq=False, repr=False)
class Local(Network):
    """Blocks of pixels become channels; 3 x 3 convolutions lead to the code, a map with as many channels, and back.

    If the network receives a mask, each missing pixel is first set to the weighted mean of the observed pixels nearby.
    This guess and the mask are further channels of the code, and the decoder adds a correction to the missing pixels.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width), both multiples of `block`; n_components is that of :func:`local_fields`.
    channels : int, default=32
        Number of channels of each layer.
    depth : int, default=2
        Number of convolutions of the encoder, and of the decoder.
    block : int, default=2
        Height and width of a block.
    """

    image_shape: tuple[int, int] = (28, 28)
    channels: int = 32
    depth: int = 2
    block: int = 2

    def build(self, sizes: Sizes) -> None:
        """Create the layers."""
        self.sizes = sizes
        pixels = self.block**2
        inner = [self.channels] * self.depth
        self.encoder = self._convolutions([pixels * (2 if sizes.masked else 1), *inner])
        self.decoder = self._convolutions([*inner, pixels])
        # The images are aligned, so that the distribution depends on the position.
        self.place = nn.Parameter(torch.zeros(self.channels, *self._blocks()))
        self.register_buffer("kernel", _KERNEL[None, None], persistent=False)

    def _blocks(self) -> tuple[int, int]:
        return self.image_shape[0] // self.block, self.image_shape[1] // self.block

    @staticmethod
    def _convolutions(widths: list[int]) -> nn.ModuleList:
        return nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))

    def _guess(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the pixels, with each missing one replaced by the weighted mean of those nearby, (N, 1, H, W)."""
        kernel = self.get_buffer("kernel").to(x)
        near = F.conv2d(torch.cat([x * mask, mask]), kernel, padding=2)
        total, weight = near.chunk(2)
        return torch.where(mask == 1, x, total / (weight + 1e-3))

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Map rows (..., D) to feature maps (..., K)."""
        h = x.reshape(-1, 1, *self.image_shape)
        if self.sizes.masked:
            m = torch.ones_like(h) if mask is None else mask.reshape(h.shape)
            h = torch.cat([self._guess(h, m), m], 1)
        inputs = F.pixel_unshuffle(h, self.block)
        first, *rest = self.encoder
        h = first(inputs) + self.place
        for layer in rest:
            h = h + layer(F.silu(h))
        code = torch.cat([h, inputs], 1) if self.sizes.masked else h
        return code.reshape(*x.shape[:-1], -1)

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Map feature maps (..., K) to rows (..., D)."""
        pixels = self.block**2
        parts = [self.channels, pixels, pixels] if self.sizes.masked else [self.channels]
        h, *inputs = z.reshape(-1, sum(parts), *self._blocks()).split(parts, 1)
        *inner, last = self.decoder
        for layer in inner:
            h = h + layer(F.silu(h))
        h = last(F.silu(h))
        if inputs:
            guess, mask = inputs
            h = guess + (1 - mask) * h
        return F.pixel_shuffle(h, self.block).reshape(*z.shape[:-1], -1)


def local_fields(
    shape: tuple[int, int], channels: int = 32, depth: int = 2, block: int = 2, *, input_mask: bool = True
) -> dict[str, object]:
    """Return the parameters of an estimator with this network; `input_mask` says whether it receives the mask."""
    width = (channels // block**2 + (2 if input_mask else 0)) * shape[0] * shape[1]
    return {
        "n_components": width,
        "network": Local(image_shape=shape, channels=channels, depth=depth, block=block),
    }
