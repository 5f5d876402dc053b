"""Adam: torch's own to the bit, and the same up to rounding without its kernel."""

import pytest
import torch
from torch import nn

from isthmus.engine.adam import FusedAdam
from models import normal

SHAPES = [(3, 4), (4,), (2, 2, 2)]


def parameters(dtype):
    return [nn.Parameter(normal(*shape, seed=i).to(dtype)) for i, shape in enumerate(SHAPES)]


def give_gradients(parameters, t, but=()):
    for i, p in enumerate(parameters):
        p.grad = None if i in but else normal(*p.shape, seed=100 * t + i).to(p.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("decay", "betas"), [(0.0, (0.9, 0.999)), (0.1, (0.8, 0.95))])
def test_has_the_bits_of_torchs(dtype, decay, betas):
    """With a rate that changes, gradients that are missing for a while, and a state that is loaded elsewhere."""
    ours, theirs = parameters(dtype), parameters(dtype)
    adam = FusedAdam(ours, decay, betas)
    reference = torch.optim.AdamW(theirs, lr=1.0, betas=betas, weight_decay=decay, fused=True)
    for t in range(1, 9):
        for side in (ours, theirs):
            give_gradients(side, t, but=(1,) if t in (3, 4) else ())
        if t == 6:
            before, adam = adam, FusedAdam(ours, decay, betas)
            adam.load_state(before.state())
        reference.param_groups[0]["lr"] = 0.1 / t
        adam.set_learning_rate(0.1 / t)
        adam.step()
        reference.step()
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b), t
    adam.zero_grad()
    assert all(p.grad is None for p in ours)


def test_clipped_gradients_are_torchs():
    ours, theirs = parameters(torch.float32), parameters(torch.float32)
    adam = FusedAdam(ours, 0.1, gradient_clip=1.5)
    reference = torch.optim.AdamW(theirs, lr=0.1, weight_decay=0.1, fused=True)
    adam.set_learning_rate(0.1)
    for t in range(1, 5):
        for side in (ours, theirs):
            give_gradients(side, t, but=(1,) if t == 2 else ())
        before = torch.nn.utils.clip_grad_norm_(theirs, 1.5)
        assert before > 1.5
        adam.step()
        reference.step()
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b), t


def test_lr_multipliers_are_torchs_groups():
    ours, theirs = parameters(torch.float32), parameters(torch.float32)
    adam = FusedAdam(ours, 0.1, lr_multipliers=[0.25, 1.0, 0.25])
    groups = [{"params": [theirs[0], theirs[2]], "lr": 0.025}, {"params": [theirs[1]], "lr": 0.1}]
    reference = torch.optim.AdamW(groups, weight_decay=0.1, fused=True)
    adam.set_learning_rate(0.1)
    for t in range(1, 5):
        for side in (ours, theirs):
            give_gradients(side, t, but=(1,) if t == 2 else ())
        adam.step()
        reference.step()
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b), t


def test_state_stays_in_the_same_memory():
    """Captured steps read and write it there: also after a step in which a gradient is missing, and after loading."""
    ps = parameters(torch.float32)
    adam = FusedAdam(ps, 0.1)
    before = [tensor.data_ptr() for tensor in (adam.learning_rate, *adam.tensors())]
    for t in range(1, 4):
        give_gradients(ps, t, but=(1,) if t == 2 else ())
        adam.set_learning_rate(0.1 / t)
        adam.step()
        adam.load_state(adam.state())
    assert [tensor.data_ptr() for tensor in (adam.learning_rate, *adam.tensors())] == before
    assert [float(own["step"]) for own in adam.state()] == [3, 2, 3]


def test_without_a_kernel(monkeypatch):
    kernel, plain = parameters(torch.float64), parameters(torch.float64)
    sides = [FusedAdam(kernel, 0.1)]
    monkeypatch.delattr(torch, "_fused_adamw_")
    sides.append(FusedAdam(plain, 0.1))
    for t in range(1, 6):
        for side, ps in zip(sides, (kernel, plain), strict=True):
            give_gradients(ps, t)
            side.set_learning_rate(0.1)
            side.step()
    for a, b in zip(kernel, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_moments_are_copies():
    ps = parameters(torch.float64)
    adam = FusedAdam(ps, 0.0)
    give_gradients(ps, 1)
    adam.set_learning_rate(0.1)
    adam.step()
    kept = adam.state()
    adam.step()
    assert float(kept[0]["step"]) == 1
    assert not torch.equal(kept[0]["exp_avg"], adam.state()[0]["exp_avg"])
