"""A package of somebody else, with parts of its own: checked by the test kit, saved, and loaded in another process."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from hostile import refusal
from isthmus import VAE, load, testing
from isthmus.likelihoods import Likelihood, Mixed
from isthmus.networks import Sizes

PACKAGE = Path(__file__).parents[1] / "packages" / "own_parts" / "src"
X = load_iris().data
SIZES = Sizes(n_features=5, n_components=3, n_encoder_outputs=6, n_decoder_outputs=5)


@pytest.fixture
def own_parts(monkeypatch):
    """Put the package on the path, as its installation does, and forget it afterwards."""
    monkeypatch.syspath_prepend(PACKAGE)
    import own_parts

    yield own_parts
    del sys.modules["own_parts"]


@pytest.fixture
def path(own_parts, tmp_path):
    likelihood = Mixed(("gaussian", own_parts.Cauchy(factor=0.5)), ((0, 2), (1, 3)))
    parts = {"likelihood": likelihood, "network": own_parts.Gated(width=5), "prior": own_parts.Laplacian()}
    model = VAE(2, max_epochs=3, random_state=0, **parts).fit(X)
    assert model.model_.likelihood.members[1].width != 1, "it was set from the data"
    model.save(tmp_path / "m.safetensors")
    np.save(tmp_path / "scores.npy", model.score_samples(X))
    return tmp_path / "m.safetensors"


def test_the_kit_checks_a_network_and_a_prior(own_parts):
    testing.check_network(own_parts.Gated(), SIZES)
    testing.check_network(own_parts.Gated(), SIZES._replace(masked=True, n_conditions=2))
    testing.check_prior(own_parts.Laplacian())


def test_a_model_with_these_parts_is_loaded_in_another_process(path):
    code = """
        import sys, numpy as np, isthmus
        from own_parts import Cauchy, Gated, Laplacian
        from sklearn.datasets import load_iris
        model = isthmus.load(sys.argv[1], parts=[Cauchy, Gated, Laplacian])
        assert (model.score_samples(load_iris().data) == np.load(sys.argv[2])).all()
        print(model.model_.network)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE), *sys.path])}
    command = [sys.executable, "-c", textwrap.dedent(code), str(path), str(path.with_name("scores.npy"))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Gated(width=5)")


def test_without_them_it_is_refused(own_parts, path):
    assert "uses the part 'Cauchy', which is not one of isthmus" in refusal(path)
    with pytest.raises(ValueError, match=r"pass load\(..., parts=\[Cauchy\]\)"):
        load(path, parts=[own_parts.Gated, own_parts.Laplacian])


def test_a_file_imports_no_package(path, monkeypatch):
    """It is there to be imported, and the file names its classes."""
    monkeypatch.delitem(sys.modules, "own_parts")
    refusal(path)
    assert "own_parts" not in sys.modules
    sys.modules["own_parts"] = None  # for the fixture, which forgets it


# ---- what the kit finds -----------------------------------------------------------------------------------------


def test_the_kit_finds_state_that_is_not_saved(own_parts):
    class Forgetful(own_parts.Gated):
        """Keeps a random number as an attribute."""

        def build(self, sizes):
            super().build(sizes)
            self.offset = float(torch.rand(()))

        def encode(self, x, c=None, mask=None):
            return super().encode(x, c, mask) + self.offset

    with pytest.raises(AssertionError, match="Forgetful: must compute the same after it was saved"):
        testing.check_network(Forgetful(), SIZES)


def test_the_kit_finds_a_tensor_that_is_an_attribute(own_parts):
    class Fixed(own_parts.Gated):
        """Keeps a tensor that does not follow the model to its device."""

        def build(self, sizes):
            super().build(sizes)
            self.factor = torch.full((sizes.n_encoder_outputs,), 2.0)

        def encode(self, x, c=None, mask=None):
            return super().encode(x, c, mask) * self.factor

    with pytest.raises(AssertionError, match="Fixed: must compute on the device of model and inputs"):
        testing.check_network(Fixed(), SIZES)


def test_the_kit_finds_another_dtype(own_parts):
    class Double(own_parts.Gated):
        """Computes in float64, whatever it is given."""

        def encode(self, x, c=None, mask=None):
            return super().encode(x, c, mask).double()

    with pytest.raises(AssertionError, match=r"Double: must keep torch.float32 of model and inputs, not .*float64"):
        testing.check_network(Double(), SIZES)


def test_the_kit_finds_a_tensor_that_a_file_would_not_expect(own_parts):
    class Growing(own_parts.Laplacian):
        """Has a tensor only after it has seen data."""

        def init_from_data(self, x):
            self.register_buffer("seen", x.mean(0))

    with pytest.raises(AssertionError, match="Growing: build must make the tensors"):
        testing.check_prior(Growing())


def test_the_kit_finds_a_width_that_is_not_saved(own_parts):
    class Attribute(Likelihood):
        """Keeps the width of the data as a number."""

        def set_from_data(self, x, weight=None):
            self.width = float(x.std())

        def forward(self, h):
            return torch.distributions.Normal(h, getattr(self, "width", 1.0) * torch.ones_like(h), validate_args=False)

    with pytest.raises(AssertionError, match="Attribute: must compute the same after it was saved"):
        testing.check_likelihood(Attribute())
