"""Networks: an encoder and a decoder from one description."""

from isthmus.networks._base import Layer, Network, Sizes, join_inputs
from isthmus.networks.conv import Conv
from isthmus.networks.mlp import MLP

__all__ = ["MLP", "Conv", "Layer", "Network", "Sizes", "join_inputs"]
