"""The optimizer's steps: Adam with decoupled weight decay, in one kernel per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from isthmus._device import scalar_buffer
from isthmus._torch_private import fused_adamw

__all__ = ["AdamState", "FusedAdam"]

AdamState = list[dict[str, Tensor]]

_EPS = 1e-8


class FusedAdam:
    r"""Minimise by AdamW with the usual epsilon, 1e-8.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \qquad
        \theta \leftarrow (1 - \eta\lambda)\theta -
        \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    The kernel is torch's own, and the results are bit-identical to ``torch.optim.AdamW(fused=True)``. For a small
    network, the Python code of that class takes longer than its kernel, and its first use imports torch's compiler,
    which takes seconds. All state stays in the same memory, so that captured steps can read and write it.

    Parameters
    ----------
    parameters : sequence of Parameter
        Parameters on one device. A step does not change those without a gradient.
    weight_decay : float
        lambda.
    betas : tuple of float, default=(0.9, 0.999)
        beta_1 and beta_2.
    lr_multipliers : sequence of float, optional
        Factor of eta for each parameter; 1 by default.
    gradient_clip : float, optional
        Maximum norm of the gradient of all parameters together; a longer one is scaled down to it before the step.

    Attributes
    ----------
    learning_rate : Tensor of shape ()
        eta; set it with :meth:`set_learning_rate`.

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
        gradient_clip: float | None = None,
    ) -> None:
        self.parameters, self.weight_decay = list(parameters), weight_decay
        self.gradient_clip = gradient_clip
        device = self.parameters[0].device
        self.learning_rate = scalar_buffer(device)
        self._first = [torch.zeros_like(p) for p in self.parameters]
        self._second = [torch.zeros_like(p) for p in self.parameters]
        counters = torch.zeros(len(self.parameters), device=device if device.type == "cuda" else "cpu")
        self._all_steps, self._steps = counters, list(counters.unbind())  # views: one addition updates all
        self._kernel = _kernel(device, betas)
        multipliers = list(lr_multipliers or [1.0] * len(self.parameters))
        self._groups = {m: [i for i, own in enumerate(multipliers) if own == m] for m in dict.fromkeys(multipliers)}

    def set_learning_rate(self, rate: float) -> None:
        """Set eta for the steps that follow."""
        self.learning_rate.fill_(rate)

    def zero_grad(self) -> None:
        """Remove all gradients."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Clip the gradients, and update the parameters that have one."""
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.gradient_clip)
        with_gradient = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        if len(with_gradient) == len(self.parameters):
            self._all_steps += 1
        else:
            for i in with_gradient:
                self._steps[i] += 1
        lists = (self.parameters, [p.grad for p in self.parameters], self._first, self._second, self._steps)
        for multiplier, group in self._groups.items():
            updated = [i for i in group if self.parameters[i].grad is not None]
            if updated:
                rate = self.learning_rate if multiplier == 1 else multiplier * self.learning_rate
                self._kernel(*([values[i] for i in updated] for values in lists), rate, self.weight_decay)

    def tensors(self) -> list[Tensor]:
        """Return the tensors of the state, in the memory that steps read and write."""
        return [*self._first, *self._second, self._all_steps]

    def views(self) -> AdamState:
        """Return the state of each parameter, named as in torch's optimizers, in the memory that steps use."""
        states = zip(self._steps, self._first, self._second, strict=True)
        return [{"step": step, "exp_avg": first, "exp_avg_sq": second} for step, first, second in states]

    def state(self) -> AdamState:
        """Return a copy of the state of each parameter."""
        return [{name: tensor.clone() for name, tensor in own.items()} for own in self.views()]

    @torch.no_grad()
    def load_state(self, state: AdamState) -> None:
        """Continue from a state that :meth:`state` returned."""
        for own, saved in zip(self.views(), state, strict=True):
            for name, tensor in own.items():
                tensor.copy_(saved[name])


def _kernel(device: torch.device, betas: tuple[float, float]) -> Callable[..., None]:
    """Return the function that steps lists of parameters, gradients, moments and counters on a device."""
    fused: Any = fused_adamw(device)

    def step(ps: Any, grads: Any, first: Any, second: Any, steps: Any, rate: Tensor, decay: float) -> None:
        fused(
            ps, grads, first, second, [], steps,
            lr=rate, beta1=betas[0], beta2=betas[1], weight_decay=decay, eps=_EPS, amsgrad=False, maximize=False,
        )  # fmt: skip

    def step_each(ps: Any, grads: Any, first: Any, second: Any, steps: Any, rate: Tensor, decay: float) -> None:
        eta = float(rate)
        for p, g, m, v, step in zip(ps, grads, first, second, steps, strict=True):
            t = float(step)
            p.mul_(1 - eta * decay)
            m.lerp_(g, 1 - betas[0])
            v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
            denominator = (v / (1 - betas[1] ** t)).sqrt_().add_(_EPS)
            p.addcdiv_(m, denominator, value=-eta / (1 - betas[0] ** t))

    return step if fused else step_each
