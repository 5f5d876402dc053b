"""Imports that torch and scikit-learn make and the command hardly ever needs, deferred until one is used."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import types
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from typing import Any

__all__ = ["deferred_imports"]

# About half of the time to import the two. scikit-learn needs these for tables and for some of its estimators.
_BY_SKLEARN = ("narwhals", "narwhals.stable", "narwhals.stable.v2", "pandas", "scipy.special", "scipy.stats")
# This one is for tensors without data, which torch's compiler makes, and it imports modules that random generators
# depend on: a model can be applied without it, but not trained. That is tested for these versions of torch.
_BY_TORCH, _TESTED_TORCH = "torch._meta_registrations", ("2.13",)


class _Deferred(types.ModuleType):
    """A stand-in for a module, which is imported when an attribute is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system looks for __spec__ and __path__
            raise AttributeError(name)
        child = sys.modules.get(f"{self.__name__}.{name}")
        if isinstance(child, _Deferred):
            return child
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def deferred_imports(*, training: bool) -> Iterator[None]:
    """Defer needless imports of other libraries inside the block; after it, modules are imported as usual.

    Parameters
    ----------
    training : bool
        Whether this process may train a model.
    """
    names = [] if "sklearn" in sys.modules else [name for name in _BY_SKLEARN if find_spec(name.partition(".")[0])]
    if not training and "torch" not in sys.modules and metadata.version("torch").startswith(_TESTED_TORCH):
        names.append(_BY_TORCH)
    stand_ins = {name: _Deferred(name) for name in names if name not in sys.modules}
    sys.modules.update(stand_ins)
    collects = gc.isenabled()
    gc.disable()  # imports leave no garbage, and the search for it takes a twentieth of their time
    try:
        yield
    finally:
        if collects:
            gc.enable()
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]
