"""Number formats: denormals, the types of parameters, bf16."""

import pytest
import torch

from isthmus._batch import Batch
from isthmus._names import UnknownNameError
from isthmus.data.loaders import InMemoryLoader
from isthmus.engine.precision import flush_denormals, parameter_dtype
from regression import Regression, fit, rows


def flushes():
    return bool(torch.tensor(torch.finfo(torch.float32).tiny) * 0.5 == 0)


@pytest.mark.parametrize("before", [False, True])
def test_denormals_are_flushed_during_training_only(before):
    if not torch.set_flush_denormal(before):
        pytest.skip("this processor cannot flush denormals")
    try:
        inside = []
        fit(Regression(), InMemoryLoader(rows(), 16), more={"callbacks": [lambda _: inside.append(flushes())]})
        assert all(inside)
        assert flushes() == before
        with pytest.raises(ZeroDivisionError):
            fit(Regression(), InMemoryLoader(rows(), 16), more={"callbacks": [lambda _: 1 / 0]})
        assert flushes() == before
        with flush_denormals():
            assert flushes()
        assert flushes() == before
    finally:
        torch.set_flush_denormal(False)


def test_parameters_of_bf16_are_stored_in_float32():
    assert [parameter_dtype(p) for p in ("float32", "float64", "bf16")] == [torch.float32, torch.float64, torch.float32]
    with pytest.raises(UnknownNameError, match="Did you mean 'float32'"):
        parameter_dtype("flaot32")


def test_bf16_steps_float32():
    """Half of the parameters compute in bf16; the optimizer's copies keep digits that bf16 would lose."""
    seen = []

    class Watched(Regression):
        def forward(self, batch, weights):
            seen.append((self.weight.dtype, self.bias.dtype))
            return super().forward(batch._replace(x=batch.x.to(self.weight.dtype)), weights)

    source = InMemoryLoader(Batch(*(field if field is None else field.float() for field in rows())), 10)
    half, single = Watched().float(), Watched().float()
    fit(half, source, n_epochs=30, learning_rate=0.01, bf16_parameters=[half.weight])
    fit(single, source, n_epochs=30, learning_rate=0.01)
    assert seen[0] == (torch.bfloat16, torch.float32)
    assert half.weight.dtype == torch.float32  # as it was, once training is over
    assert not torch.equal(half.weight.bfloat16().float(), half.weight)
    torch.testing.assert_close(half.weight, single.weight, rtol=0.05, atol=0.02)
