"""Adam: torch's own to the bit, kernel or not."""

import functools

import pytest
import torch
from torch import nn

from isthmus.engine.adam import Adam, _plain
from models import normal

SHAPES = [(3, 4), (4,), (2, 2, 2)]


def parameters(dtype):
    return [nn.Parameter(normal(*shape, seed=i).to(dtype)) for i, shape in enumerate(SHAPES)]


def give_gradients(parameters, t, but=()):
    for i, p in enumerate(parameters):
        p.grad = None if i in but else normal(*p.shape, seed=100 * t + i).to(p.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("decay", "betas"), [(0.0, (0.9, 0.999)), (0.1, (0.8, 0.95))])
def test_is_torchs(dtype, decay, betas):
    """A rate that changes, gradients that are missing for a while, and a run that goes on elsewhere."""
    ours, theirs = parameters(dtype), parameters(dtype)
    adam = Adam(ours, decay, betas)
    reference = torch.optim.AdamW(theirs, lr=1.0, betas=betas, weight_decay=decay, fused=True)
    for t in range(1, 9):
        for side in (ours, theirs):
            give_gradients(side, t, but=(1,) if t in (3, 4) else ())
        if t == 6:
            before, adam = adam, Adam(ours, decay, betas)
            adam.load_state(before.state())
        adam.learning_rate = reference.param_groups[0]["lr"] = 0.1 / t
        adam.step()
        reference.step()
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b), t
    adam.zero_grad()
    assert all(p.grad is None for p in ours)


def test_factors_are_torchs_groups():
    ours, theirs = parameters(torch.float32), parameters(torch.float32)
    adam = Adam(ours, 0.1, lr_multipliers=[0.25, 1.0, 0.25])
    groups = [{"params": [theirs[0], theirs[2]], "lr": 0.025}, {"params": [theirs[1]], "lr": 0.1}]
    reference = torch.optim.AdamW(groups, weight_decay=0.1, fused=True)
    adam.learning_rate = 0.1
    for t in range(1, 5):
        for side in (ours, theirs):
            give_gradients(side, t, but=(1,) if t == 2 else ())
        adam.step()
        reference.step()
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b), t


def test_a_rate_that_is_a_tensor():
    plain, kept = parameters(torch.float32), parameters(torch.float32)
    sides = [Adam(plain, 0.1, lr_multipliers=[0.5, 1.0, 1.0]), Adam(kept, 0.1, lr_multipliers=[0.5, 1.0, 1.0])]
    memory = set()
    for t in range(1, 5):
        for side, ps in zip(sides, (plain, kept), strict=True):
            give_gradients(ps, t)
            side.learning_rate = 0.125 / t if side is sides[0] else side.learning_rate
            if side is sides[1]:
                side.set_learning_rate(0.125 / t)
            side.step()
        memory.add(sides[1].learning_rate.data_ptr())
    assert len(memory) == 1
    for a, b in zip(plain, kept, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)  # 0.125 / 3 is rounded to float32


def test_without_a_kernel():
    kernel, plain = parameters(torch.float64), parameters(torch.float64)
    sides = [Adam(kernel, 0.1), Adam(plain, 0.1)]
    sides[1]._step = functools.partial(_plain, (0.9, 0.999))
    for t in range(1, 6):
        for side, ps in zip(sides, (kernel, plain), strict=True):
            give_gradients(ps, t)
            side.learning_rate = 0.1
            side.step()
    for a, b in zip(kernel, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_moments_are_copies():
    ps = parameters(torch.float64)
    adam = Adam(ps, 0.0)
    give_gradients(ps, 1)
    adam.learning_rate = 0.1
    adam.step()
    kept = adam.state()
    adam.step()
    assert float(kept[0]["step"]) == 1
    assert not torch.equal(kept[0]["exp_avg"], adam.state()[0]["exp_avg"])
