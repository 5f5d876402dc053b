"""Chunks are sized by ``numbers_per_row``: what a model's largest tensor holds for a row, for any of its parts."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from isthmus.likelihoods import Bernoulli, Categorical, Gaussian
from isthmus.networks import MLP, Conv
from isthmus.posteriors import DiagonalNormal, FlowNormal, FullNormal
from isthmus.priors import Flow, MixtureOfNormals, StandardNormal, VampPrior
from models import build

N = 2000


class Largest(TorchDispatchMode):
    """Measures the largest result of any operation."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result._base is None:  # no view
            self.numbers = max(self.numbers, result.numel())
        return result


MODELS = {
    "linear": {},
    "wide": {"network": MLP((300, 100))},
    "narrow": {"network": MLP((10,))},
    "tied": {"network": MLP((300,), tied=True)},
    "images": {"network": Conv(image_shape=(8, 8))},
    "many channels": {"network": Conv(image_shape=(8, 8), channels=(100, 8), hidden_layer_sizes=())},
    "full covariance": {"posterior": FullNormal()},
    "normalizing flow as posterior": {"posterior": FlowNormal(hidden_layer_sizes=(64, 64))},
    "normalizing flow as prior": {"prior": Flow()},
    "mixture": {"prior": MixtureOfNormals(50)},
    "vamp": {"prior": VampPrior(60)},
    "levels": {"likelihood": Categorical((20,) * 64)},
    "two outputs per column": {"likelihood": Gaussian(scale="decoder")},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_models_largest_tensor(name):
    parts = {"posterior": DiagonalNormal(), "prior": StandardNormal(), "likelihood": Bernoulli()} | MODELS[name]
    model = build(64, 20, **parts)
    x = torch.zeros(N, 64).double()
    with torch.no_grad(), Largest() as largest:
        q = model.q(x)
        model.log_joint_ratio(q, q.rsample((1,)), x)
    fixed = max(math.prod(p.shape) for p in model.parameters())
    assert largest.numbers > 2 * fixed, "or N is too small to measure with"
    assert model.numbers_per_row / 4 < largest.numbers / N <= model.numbers_per_row
