"""Shapes that are computed from a description are those of the tensors that are built and saved."""

import pytest
import torch

from cases import LIKELIHOODS, NETWORKS, POSTERIORS, PRIORS, SCALINGS
from isthmus import VAE, load
from isthmus._tensor_shapes import AtLeast, is_own
from isthmus.likelihoods import Gaussian, Mixed
from isthmus.networks import MLP, Sizes
from isthmus.posteriors import FlowNormal, FullNormal
from isthmus.priors import Flow, MixtureOfNormals
from isthmus.serialization import FileError

WIDE = Sizes(n_features=5, n_components=2, n_encoder_outputs=4, n_decoder_outputs=10, n_conditions=3)
CASES = [
    *((case.part, (case.n_features,)) for case in LIKELIHOODS),
    *((part, (3,)) for part in POSTERIORS),
    *((part, (3, 4, n)) for part, n in PRIORS),
    (MixtureOfNormals(3, covariance="full"), (2, 4)),
    (Flow(n_layers=1, hidden_layer_sizes=()), (2,)),
    (Flow(n_layers=2), (1,)),
    (FlowNormal(n_layers=3, n_context=2), (1,)),
    *((part, (4,)) for part in SCALINGS),
    *((part, (sizes,)) for part, sizes in NETWORKS),
    (MLP((6,), skip=True), (WIDE._replace(masked=True),)),
    (MLP((), skip=True), (WIDE,)),
]


@pytest.mark.parametrize(("part", "sizes"), CASES, ids=lambda value: repr(value)[:40])
def test_described_shapes_are_those_that_are_built(part, sizes):
    described = dict(part.clone().tensor_shapes(*sizes))
    built = part.clone()
    built.build(*sizes)
    shapes = {name: tuple(tensor.shape) for name, tensor in built.state_dict().items()}
    for name, least in [item for item in described.items() if isinstance(item[1], AtLeast)]:
        found = [torch.Size(shapes.pop(other)).numel() for other in list(shapes) if other.startswith(name)]
        del described[name]
        assert found
        assert least.n_tensors <= len(found)
        assert sum(found) / 4 <= least.n_numbers <= sum(found), "the bound is of some use"
    assert described == shapes


@pytest.mark.parametrize("part", [case.part for case in LIKELIHOODS] + POSTERIORS, ids=lambda value: repr(value)[:40])
def test_outputs_are_counted_before_and_after_build(part):
    sizes = 3
    before, built = part.clone().count_outputs(sizes), part.clone()
    built.build(sizes)
    assert before == built.count_outputs(sizes) == built.n_outputs


class Mine(Gaussian):
    """Somebody's own likelihood, with a tensor that isthmus does not know."""

    def build(self, n_features):
        super().build(n_features)
        self.register_buffer("extra", torch.ones(7))


def test_parts_of_somebodys_own_are_compared_after_they_are_built(tmp_path):
    assert not is_own(Mine())
    assert not is_own(Mixed((Gaussian(), Mine()), ((0,), (1,))))
    assert is_own(Mixed((Gaussian(), "poisson"), ((0,), (1,))))
    X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).numpy()
    VAE(2, max_epochs=1, random_state=0, likelihood=Mine(), posterior=FullNormal()).fit(X).save(
        tmp_path / "m.safetensors"
    )
    again = load(tmp_path / "m.safetensors", parts=[Mine])
    assert again.model_.likelihood.extra.shape == (7,)

    class Other(Gaussian):
        """Another part of the same name, which has not that tensor."""

    Other.__name__ = "Mine"
    with pytest.raises(FileError, match=r"its tensors do not fit its description: 'likelihood.extra'"):
        load(tmp_path / "m.safetensors", parts=[Other])
