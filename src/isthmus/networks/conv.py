"""Convolutional networks for images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from isthmus._activations import activation
from isthmus._layer_sizes import layer_sizes
from isthmus._tensor_shapes import TensorShape, within
from isthmus.networks._base import Network, Sizes
from isthmus.networks.mlp import MLP

__all__ = ["Conv"]


@dataclass(eq=False, repr=False)
class Conv(Network):
    r"""Strided convolutions, then dense layers to the code; the decoder mirrors them.

    Every convolution (kernel 3, padding 1) halves height and width, rounding up. Every transposed convolution restores
    the size before the convolution that it mirrors, so that any `image_shape` works.

    Parameters
    ----------
    image_shape : tuple of int, optional
        (height, width) or (channels, height, width) of an image; their product is D. By default images are square, with
        one channel, if D is a square number.
    channels : int or tuple of int, default=(32, 64)
        Number of channels after each convolution.
    hidden_layer_sizes : int or tuple of int, optional
        Sizes of the dense layers between the last convolution and the code. By default those of the estimator; without
        one, (256,).
    activation : str, default="elu"
        Activation of all layers but the last of encoder and decoder.

    References
    ----------
    LeCun et al. (1998), Gradient-Based Learning Applied to Document Recognition; Dumoulin & Visin (2016),
    A Guide to Convolution Arithmetic, for transposed convolutions.

    Examples
    --------
    >>> import torch
    >>> net = Conv(image_shape=(8, 8))
    >>> net.build(Sizes(n_features=64, n_components=2, n_encoder_outputs=2, n_decoder_outputs=64))
    >>> net(torch.zeros(3, 64)).shape
    torch.Size([3, 64])
    """

    image_shape: tuple[int, ...] | None = None
    channels: int | tuple[int, ...] = (32, 64)
    hidden_layer_sizes: int | tuple[int, ...] | None = None
    activation: str = "elu"

    def build(self, sizes: Sizes) -> None:
        """Make the layers.

        Raises
        ------
        ValueError
            If a size is no positive whole number, the product of `image_shape` is not D, it is None and D is no square
            number, or there is no whole number of decoder outputs per pixel.
        """
        down, up = self._set_sizes(sizes)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(down))
        self.dense, dense_sizes = self._dense()
        self.dense.build(dense_sizes)
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(up))

    def tensor_shapes(self, sizes: Sizes) -> Iterator[TensorShape]:
        """Yield the tensors that are saved."""
        down, up = self._set_sizes(sizes)
        for name, widths, transposed in (("down", down, False), ("up", up, True)):
            for i, (a, b) in enumerate(pairwise(widths)):
                yield f"{name}.{i}.weight", (a, b, 3, 3) if transposed else (b, a, 3, 3)
                yield f"{name}.{i}.bias", (b,)
        dense, dense_sizes = self._dense()
        yield from within("dense", dense.tensor_shapes(dense_sizes))

    def _set_sizes(self, sizes: Sizes) -> tuple[list[int], list[int]]:
        """Set the sizes of all images, and return the numbers of channels of the encoder's and the decoder's layers."""
        self.sizes, self.widths = sizes, layer_sizes(self, "channels")
        self.image = self._shape(sizes)
        n_channels, height, width = self.image
        stages = [(height, width)]
        for _ in self.widths:
            stages.append(((stages[-1][0] + 1) // 2, (stages[-1][1] + 1) // 2))
        self.stages = stages
        n_inputs, per_pixel = n_channels * (2 if sizes.masked else 1), sizes.n_decoder_outputs // (height * width)
        return [n_inputs, *self.widths], [*reversed(self.widths), per_pixel]

    def _dense(self) -> tuple[MLP, Sizes]:
        """Return the unbuilt dense layers, and their sizes."""
        flat = self.widths[-1] * math.prod(self.stages[-1])
        sizes = self.sizes._replace(n_features=flat, n_decoder_outputs=flat, masked=False, n_inputs=0)
        return MLP(layer_sizes(self, default=(256,)), self.activation, skip=False), sizes

    def _shape(self, sizes: Sizes) -> tuple[int, int, int]:
        side = math.isqrt(sizes.n_features)
        shape = (side, side) if self.image_shape is None else tuple(self.image_shape)
        if len(shape) not in (2, 3) or min(shape) < 1 or math.prod(shape) != sizes.n_features:
            given = "which is not a square" if self.image_shape is None else f"got image_shape={self.image_shape}"
            raise ValueError(
                "network=Conv(image_shape=...) needs (height, width) or (channels, height, width) whose product is the "
                f"number of columns, {sizes.n_features}; {given}."
            )
        if sizes.sample_width != sizes.n_features:
            raise ValueError(
                f"{self!r}: needs one input for each column, which categorical columns do not have; use MLP."
            )
        if not self.widths:
            raise ValueError(f"{self!r}: channels must have at least one size.")
        if sizes.n_decoder_outputs % (shape[-1] * shape[-2]):
            raise ValueError(f"{self!r}: needs a whole number of decoder outputs per pixel.")
        return (1, *shape) if len(shape) == 2 else shape  # type: ignore[return-value]

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Map images to posterior parameters; the mask enters as further channels."""
        lead = x.shape[:-1]
        h = x.reshape(-1, *self.image)
        if self.sizes.masked:
            h = torch.cat([h, torch.ones_like(h) if mask is None else mask.reshape(h.shape)], 1)
        for layer in self.down:
            h = activation(self.activation)(layer(h))
        flat = h.flatten(1)  # also of no images at all, for which a size of -1 would be ambiguous
        return self.dense.encode(flat.reshape(*lead, flat.shape[1]), c)

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Map codes to likelihood parameters."""
        hidden = activation(self.activation)
        flat = hidden(self.dense.decode(z, c))
        h = flat.reshape(-1, self.widths[-1], *self.stages[-1])
        for i, (layer, size) in enumerate(zip(self.up, reversed(self.stages[:-1]), strict=True)):
            h = layer(h, output_size=size)
            if i < len(self.up) - 1:
                h = hidden(h)
        flat = h.flatten(1)
        return flat.reshape(*z.shape[:-1], flat.shape[1])

    @property
    def numbers_per_row(self) -> int:
        """The size of the largest tensor per sample inside the network: a stack of feature maps, or a dense layer."""
        images = [n * math.prod(size) for n, size in zip(self.widths, self.stages[1:], strict=True)]
        return max(self.dense.numbers_per_row, *images)

    def decoder_weights(self) -> list[Tensor]:
        """Return the weights of the dense layers, and the kernels of the transposed convolutions as matrices."""
        kernels = [layer.weight.flatten(1).T for layer in self.up if isinstance(layer, nn.ConvTranspose2d)]
        return [*self.dense.decoder_weights(), *kernels]

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the convolutions and of the encoder's dense layers."""
        return [*self.down.parameters(), *self.dense.encoder_parameters()]
