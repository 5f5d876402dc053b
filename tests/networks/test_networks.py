"""Networks: image shapes, and weights that encoder and decoder share."""

import torch

from isthmus.networks import MLP, Conv, Sizes


def test_conv_takes_any_image_shape():
    for shape in [(8, 8), (28, 28), (7, 5), (3, 4, 9)]:
        width = torch.Size(shape).numel()
        net = Conv(image_shape=shape, channels=(2, 3), hidden_layer_sizes=())
        net.build(Sizes(width, 2, 2, 2 * width))
        assert net(torch.zeros(2, width)).shape == (2, 2 * width)


def test_tied_weights_are_transposed_encoder_weights():
    """Of the encoder's last layer, the rows of the means are transposed, not those of the scales."""
    net = MLP((7,), activation="identity", tied=True)
    net.build(Sizes(n_features=5, n_components=3, n_encoder_outputs=6, n_decoder_outputs=5))
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net.decode(z), z @ net.encoder[1].weight[:3] @ net.encoder[0].weight)
