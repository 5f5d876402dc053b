"""Read ahead: compute the next item in the background while the present one is used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["prefetch"]

_A = TypeVar("_A")
_B = TypeVar("_B")


class Future(Generic[_B]):
    """Run a function in a thread of its own, and keep what it returns or raises."""

    def __init__(self, function: Callable[[_A], _B], argument: _A) -> None:
        self._function, self._argument = function, argument
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="isthmus-prefetch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function(self._argument)
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        """Wait until the function has ended."""
        self._thread.join()

    def result(self) -> _B:
        """Return the value of the function, or raise its exception."""
        self.wait()
        if self._error is not None:
            raise self._error
        value: _B = self._value
        return value


def prefetch(function: Callable[[_A], _B], items: Iterable[_A]) -> Iterator[_B]:
    """Yield ``function(item)`` for each item, computing one item ahead in the background.

    Each value has a thread of its own, which ends with the call: an iterator that is abandoned leaves no thread behind.
    An exception in the function is raised here.

    Parameters
    ----------
    function : callable
        Called in the background, one call at a time.
    items : iterable
        The arguments.

    Yields
    ------
    object
        The values of the function, in order.

    Examples
    --------
    >>> list(prefetch(str, range(3)))
    ['0', '1', '2']
    """
    future: Future[_B] | None = None
    try:
        for item in items:
            if future is None:
                future = Future(function, item)
                continue
            value = future.result()
            future = Future(function, item)
            yield value
            del value  # hold no value that the caller has finished with
        if future is not None:
            yield future.result()
    finally:
        if future is not None:
            future.wait()
