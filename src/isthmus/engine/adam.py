"""Adam with decoupled weight decay, in one kernel a step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from isthmus._device import scalar_buffer

__all__ = ["Adam", "AdamState"]

AdamState = list[dict[str, Tensor]]

_EPS = 1e-8


class Adam:
    r"""AdamW with the usual epsilon, 1e-8.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
        \theta \leftarrow (1 - \eta\lambda)\theta -
        \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    The kernel is torch's own, to the bit; what ``torch.optim.AdamW`` does around it takes longer than the kernel for a
    small network, and its first use imports torch's compiler, which takes seconds.

    Parameters
    ----------
    parameters : sequence of Parameter
        On one device. A step that finds one without a gradient leaves it as it is.
    weight_decay : float
        lambda.
    betas : tuple of float, default=(0.9, 0.999)
        beta_1 and beta_2.
    lr_multipliers : sequence of float, optional
        What each parameter's eta is multiplied by; 1 by default.

    Attributes
    ----------
    learning_rate : float or Tensor of shape ()
        eta, set before each step.

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled Weight Decay Regularization, algorithm 2.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        lr_multipliers: Sequence[float] | None = None,
    ) -> None:
        self.parameters, self.weight_decay = list(parameters), weight_decay
        self.learning_rate: float | Tensor = 0.0
        self._first = [torch.zeros_like(p) for p in self.parameters]
        self._second = [torch.zeros_like(p) for p in self.parameters]
        device = self.parameters[0].device
        # Parameters that have been stepped equally often share a counter: one addition for all.
        self._steps = [torch.zeros((), device=device if device.type == "cuda" else "cpu")] * len(self.parameters)
        self._step = _kernel(device, betas)
        own = list(lr_multipliers or [1.0] * len(self.parameters))
        self._groups = {factor: [i for i, f in enumerate(own) if f == factor] for factor in dict.fromkeys(own)}

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate on the parameters' device, in the same memory every time, for replayed steps."""
        if not isinstance(self.learning_rate, Tensor):
            self.learning_rate = scalar_buffer(self.parameters[0].device)
        self.learning_rate.fill_(rate)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have a gradient."""
        with_gradient = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        if len(with_gradient) < len(self.parameters):  # their counters part ways
            self._steps = [step.clone() for step in self._steps]
        for step in {id(self._steps[i]): self._steps[i] for i in with_gradient}.values():
            step += 1
        lists = (self.parameters, [p.grad for p in self.parameters], self._first, self._second, self._steps)
        for factor, group in self._groups.items():
            moved = [i for i in group if self.parameters[i].grad is not None]
            if moved:
                rate = self.learning_rate if factor == 1 else factor * self.learning_rate
                self._step(*([values[i] for i in moved] for values in lists), rate, self.weight_decay)

    def state(self) -> AdamState:
        """Return a copy of the state of every parameter."""
        states = zip(self._steps, self._first, self._second, strict=True)
        return [{"step": s.clone(), "exp_avg": m.clone(), "exp_avg_sq": v.clone()} for s, m, v in states]

    @torch.no_grad()
    def load_state(self, moments: AdamState) -> None:
        """Go on with the state that :meth:`state` returned."""
        for own, name in ((self._first, "exp_avg"), (self._second, "exp_avg_sq")):
            for value, state in zip(own, moments, strict=True):
                value.copy_(state[name])
        steps = [state["step"].to(self._steps[0]) for state in moments]
        same = all(torch.equal(step, steps[0]) for step in steps)
        self._steps = [steps[0].clone()] * len(steps) if same else [step.clone() for step in steps]


def _kernel(device: torch.device, betas: tuple[float, float]) -> Callable[..., None]:
    """Return what steps lists of parameters, gradients, moments and counters on a device."""
    fused: Any = torch._fused_adamw_ if device.type in ("cpu", "cuda") else None
    if fused is None:
        return functools.partial(_plain, betas)

    def step(ps: Any, grads: Any, first: Any, second: Any, steps: Any, rate: Any, decay: float) -> None:
        fused(
            ps, grads, first, second, [], steps,
            lr=rate, beta1=betas[0], beta2=betas[1], weight_decay=decay, eps=_EPS, amsgrad=False, maximize=False,
        )  # fmt: skip

    return step


def _plain(
    betas: tuple[float, float], ps: Any, grads: Any, first: Any, second: Any, steps: Any, rate: float, decay: float
) -> None:
    """Step by the formula, parameter by parameter, where there is no kernel."""
    for p, g, m, v, step in zip(ps, grads, first, second, steps, strict=True):
        t = float(step)
        p.mul_(1 - rate * decay)
        m.lerp_(g, 1 - betas[0])
        v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
        spread = (v / (1 - betas[1] ** t)).sqrt_().add_(_EPS)
        p.addcdiv_(m, spread, value=-rate / (1 - betas[0] ** t))
