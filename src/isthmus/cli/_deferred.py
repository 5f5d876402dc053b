"""Imports that scikit-learn makes and the command hardly ever needs, deferred until one is used."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.metadata
import sys
import types
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

__all__ = ["deferred_imports"]

# Two thirds of the time to import scikit-learn, which needs them for tables and for some of its estimators.
_DEFERRED = ("narwhals", "narwhals.stable", "narwhals.stable.v2", "pandas", "scipy.special", "scipy.stats")


class _Deferred(types.ModuleType):
    """A stand-in for a module, which is imported when an attribute is first used."""

    def __getattr__(self, name: str) -> Any:
        if name == "__version__":  # scikit-learn 1.6 asks for it when it is imported
            return importlib.metadata.version(self.__name__.partition(".")[0])
        if name.startswith("__"):  # the import system looks for __spec__ and __path__
            raise AttributeError(name)
        child = sys.modules.get(f"{self.__name__}.{name}")
        if isinstance(child, _Deferred):
            return child
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def deferred_imports() -> Iterator[None]:
    """Defer needless imports of scikit-learn inside the block; after it, modules are imported as usual."""
    stand_ins = {}
    if "sklearn" not in sys.modules:
        names = [name for name in _DEFERRED if name not in sys.modules and find_spec(name.partition(".")[0])]
        stand_ins = {name: _Deferred(name) for name in names}
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
