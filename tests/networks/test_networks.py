"""Networks: image shapes, and weights that encoder and decoder share."""

import numpy as np
import torch

from isthmus import VAE
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


def test_conv_maps_no_images():
    net = Conv(image_shape=(8, 8))
    net.build(Sizes(n_features=64, n_components=2, n_encoder_outputs=4, n_decoder_outputs=64))
    assert net.encode(torch.zeros(0, 64)).shape == (0, 4)
    assert net.decode(torch.zeros(3, 0, 2)).shape == (3, 0, 64)


def test_a_convolutional_vae_completes_images(digits):
    """Where every row resembles the training data, no row is left for a second look: a batch of none."""
    rows = digits.copy()
    rows[:2, 40:] = np.nan
    model = VAE(2, network=Conv(channels=4), max_epochs=1, random_state=0).fit(rows)
    assert np.isfinite(model.sample_imputations(rows[:2], 3, random_state=0)).all()
