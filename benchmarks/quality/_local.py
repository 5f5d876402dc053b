"""A network of one's own: convolutions whose code is a feature map, for corruptions that neighbours can mend.

``network="conv"`` ends in dense layers and a vector: the place for a code of few numbers. A denoising autoencoder
needs no narrow code, since the corruption keeps it from copying; here every 2 x 2 block of pixels keeps its own units.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from isthmus.networks import Network, Sizes

__all__ = ["Local", "local_fields"]


@dataclass(eq=False, repr=False)
class Local(Network):
    """Blocks of 2 x 2 pixels become channels; 3 x 3 convolutions to the code, a map of as many channels, and back.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width), both even; n_components must be channels * height * width / 4.
    channels : int, default=32
        Of every layer.
    depth : int, default=2
        Convolutions of the encoder, and of the decoder.
    """

    image_shape: tuple[int, int] = (28, 28)
    channels: int = 32
    depth: int = 2

    def build(self, sizes: Sizes) -> None:
        """Make the layers."""
        self.sizes = sizes
        inner = [self.channels] * self.depth
        self.encoder = self._convolutions([4, *inner])
        self.decoder = self._convolutions([*inner, 4])

    @staticmethod
    def _convolutions(widths: list[int]) -> nn.ModuleList:
        return nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))

    @staticmethod
    def _run(layers: nn.ModuleList, h: Tensor) -> Tensor:
        for layer in list(layers)[:-1]:
            h = F.silu(layer(h))
        return layers[-1](h)

    def encode(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Map rows (..., D) to feature maps (..., K)."""
        h = F.pixel_unshuffle(x.reshape(-1, 1, *self.image_shape), 2)
        return self._run(self.encoder, h).reshape(*x.shape[:-1], -1)

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Map feature maps (..., K) to rows (..., D)."""
        height, width = self.image_shape
        h = F.silu(z.reshape(-1, self.channels, height // 2, width // 2))
        return F.pixel_shuffle(self._run(self.decoder, h), 2).reshape(*z.shape[:-1], -1)

    @property
    def output_bias(self) -> None:
        """None: a convolution's bias is shared by all pixels."""
        return

    def output_weight(self) -> None:
        """Return None: no weight reads the code as a whole."""
        return


def local_fields(shape: tuple[int, int], channels: int = 32, depth: int = 2) -> dict[str, object]:
    """Return the fields of an estimator with this network."""
    width = channels * shape[0] * shape[1] // 4
    return {"n_components": width, "network": Local(image_shape=shape, channels=channels, depth=depth)}
