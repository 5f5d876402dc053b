"""Every private name of torch that isthmus uses, in one place, and what replaces it if torch has it no longer.

==================================  ==========================================  ====================================
torch's name                        used for                                    without it
==================================  ==========================================  ====================================
``torch._fused_adamw_``             one kernel per step of Adam                 Adam's formula, in public operators
``torch._foreach_copy_``            one kernel that casts all weights           one copy per weight
``TorchDispatchMode``               recording a step's operators                steps run eagerly
``_should_skip_dynamo``             not importing torch's compiler meanwhile    torch imports it: seconds
``OpOverload._schema``              which operators write to their arguments    every operator counts as one that does
hook dictionaries of modules        whether hooks are registered                steps run eagerly
hook dictionaries of parameters     whether hooks are registered                steps run eagerly
``torch._standard_gamma``           drawing from a gamma distribution           ``torch.distributions.Gamma``
``_is_mkldnn_bf16_supported``       whether the CPU has bf16 arithmetic         whether it has AVX-512
==================================  ==========================================  ====================================
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = [
    "copy_all",
    "cpu_has_bf16",
    "dispatch_mode",
    "fused_adamw",
    "has_hooks",
    "standard_gamma",
    "writes",
]

_MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = tuple(f"_global{name}" for name in _MODULE_HOOKS if name != "_backward_pre_hooks")
_PARAMETER_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def fused_adamw(device: torch.device) -> Callable[..., None] | None:
    """Return torch's kernel for a step of AdamW on a device, or None if there is none."""
    return getattr(torch, "_fused_adamw_", None) if device.type in ("cpu", "cuda") else None


def copy_all(to: list[Tensor], source: list[Tensor]) -> None:
    """Copy every tensor of one list into the tensor at the same place of another."""
    if hasattr(torch, "_foreach_copy_"):
        torch._foreach_copy_(to, source)
    else:
        for target, value in zip(to, source, strict=True):
            target.copy_(value)


def standard_gamma(concentration: Tensor) -> Tensor:
    """Draw from gamma distributions with rate 1, of the shape of `concentration`."""
    if hasattr(torch, "_standard_gamma"):
        return torch._standard_gamma(concentration)
    return torch.distributions.Gamma(concentration, 1.0).sample()


def cpu_has_bf16() -> bool:
    """Return whether the CPU has bf16 arithmetic."""
    if hasattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return "AVX512" in torch.backends.cpu.get_cpu_capability()


def dispatch_mode(
    run: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any],
) -> AbstractContextManager[object]:
    """Return a context in which `run` gets every operator with its arguments, and returns its result.

    Raises
    ------
    ImportError
        If torch has no such contexts.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # skipping it imports torch's compiler, which takes seconds

        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            return run(func, args, kwargs or {})

    return Mode()  # type: ignore[no-untyped-call]


def writes(operator: Any) -> bool:
    """Return whether an operator writes to its arguments."""
    schema = getattr(operator, "_schema", None)
    return bool(getattr(schema, "is_mutable", True))


def has_hooks(module: nn.Module) -> bool:
    """Return whether a hook is registered on a module, on one of its submodules or parameters, or on all modules."""
    places = [(part, _MODULE_HOOKS) for part in module.modules()]
    places += [(parameter, _PARAMETER_HOOKS) for parameter in module.parameters()]  # type: ignore[misc]
    places += [(nn.modules.module, _GLOBAL_HOOKS)]  # type: ignore[list-item]
    return any(getattr(place, name, True) for place, names in places for name in names)
