"""What replaces private names of torch; those of training are removed in tests/engine/test_captured_step.py."""

import pytest
import torch

from isthmus._random import seeded
from isthmus._torch_private import cpu_has_bf16, standard_gamma


def test_gamma(monkeypatch):
    concentration = torch.full((20_000,), 2.5, dtype=torch.float64)
    monkeypatch.delattr(torch, "_standard_gamma")
    own = torch._C._VariableFunctions._standard_gamma  # a torch without the name has another one in its Gamma
    monkeypatch.setattr("torch.distributions.gamma._standard_gamma", own)
    with seeded(0):
        drawn = standard_gamma(concentration)
    assert float(drawn.mean()) == pytest.approx(2.5, abs=0.06)
    assert float(drawn.var()) == pytest.approx(2.5, abs=0.15)


@pytest.mark.parametrize("level", ["AVX2", "AVX512"])
def test_bf16_by_the_capability_of_the_cpu(monkeypatch, level):
    class Without:
        pass

    monkeypatch.setattr(torch.ops, "mkldnn", Without())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: level)
    assert cpu_has_bf16() == (level == "AVX512")
