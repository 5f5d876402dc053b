"""The calls that the page makes: by name, with JSON arguments; answers are a JSON object and bytes."""

from __future__ import annotations

import json
import struct
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

from isthmus.explorer._background import Preparation
from isthmus.explorer._completions import complete, draw_rows
from isthmus.explorer._dropping import place
from isthmus.explorer._search import find_points

__all__ = ["Answer", "Calls", "frame"]

_MAX_JSON = 2**20  # bytes of any request but a dropped file
_MAX_CODES = 1024  # codes that are decoded in one request
_RAW = "place"  # the call whose body is a file


class Answer(NamedTuple):
    """The bytes of an answer, or an error: of the request (400), or of isthmus (500)."""

    body: bytes
    error: str | None = None
    status: int = 200


def frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Return an object and bytes as one answer: the length of the JSON, the JSON, and the bytes.

    The bytes start at a multiple of eight, so that a browser can view them as numbers of any type.
    """
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return struct.pack("<I", len(text)) + text + body


def _parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request; an empty one for an empty body."""
    if len(body) > _MAX_JSON:
        raise ValueError(f"A request may have {_MAX_JSON // 2**20} MiB.")

    def refuse(text: str) -> Any:
        raise ValueError(f"{text} is not a finite number.")

    found = json.loads(body or b"{}", parse_constant=refuse)
    if not isinstance(found, dict):
        raise ValueError("A request must be one JSON object.")
    return found


def _whole(arguments: dict[str, Any], name: str, default: int | None = None) -> int:
    """Return an argument that is a whole number."""
    value = arguments[name] if default is None else arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{name}: must be a whole number.")
    try:
        return int(value)
    except ValueError as error:
        raise ValueError(f"{name}: must be a whole number.") from error


def _optional(arguments: dict[str, Any], name: str) -> int | None:
    return None if arguments.get(name) is None else _whole(arguments, name)


class Calls:
    """The requests that the page can make: each method answers one address, with its arguments."""

    def __init__(self, preparation: Preparation) -> None:
        self.preparation, self.explorer = preparation, preparation.explorer

    def answer(self, name: str, body: bytes, query: dict[str, str]) -> Answer:
        """Return the answer to a request, with errors as texts.

        Parameters
        ----------
        name : str
            One of :meth:`named`.
        body : bytes
            A JSON object, or a dropped file.
        query : dict
            Further arguments.
        """
        self.preparation.touch()  # before it waits for the model, which the scores of all rows keep busy
        try:
            given = {"body": body} if name == _RAW else _parse(body)
            return Answer(self.named()[name]({**query, **given}))
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            text = f"{error.args[0]} is missing." if isinstance(error, KeyError) else str(error)
            return Answer(b"", text or type(error).__name__, 400)
        except Exception as error:
            traceback.print_exc()
            return Answer(b"", f"This {type(error).__name__} is a bug in isthmus; its traceback was printed.", 500)
        finally:
            self.preparation.touch()

    def waits(self, name: str) -> bool:
        """Return whether an answer may take long: another thread should compute it, so that others need not wait."""
        return name != "decode" or self.explorer.lock.locked()

    def named(self) -> dict[str, Callable[[dict[str, Any]], bytes]]:
        """Return the methods by their name in addresses."""
        looks = (self.status, self.model, self.unit, self.colour, self.prior, self.find)
        calls = (*looks, self.decode, self.inspect, self.path, self.complete, self.draw, self.place)
        return {call.__name__: call for call in calls}

    def status(self, _arguments: dict[str, Any]) -> bytes:
        return frame(self.preparation.status())

    def _require_ready(self) -> None:
        if not self.preparation.ready.is_set():
            raise ValueError("The data are still being encoded.")

    def model(self, _arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        return frame(self.explorer.describe())

    def unit(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        return frame({}, self.explorer.unit(_whole(arguments, "k")))

    def colour(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        return frame(*self.explorer.colour(_whole(arguments, "k")))

    def prior(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        i, j = _whole(arguments, "i"), _whole(arguments, "j")
        for k in (i, j):
            self.explorer._check("unit", k, self.explorer.n_units)
        return frame(self.explorer.prior.contours(i, j))

    def decode(self, arguments: dict[str, Any]) -> bytes:
        codes = arguments["codes"]
        if not isinstance(codes, list) or not 1 <= len(codes) <= _MAX_CODES:
            raise ValueError(f"codes: pass 1 to {_MAX_CODES}.")
        return frame(*self.explorer.decode(codes, arguments.get("condition")))

    def inspect(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        return frame(*self.explorer.inspect(self._where(arguments)))

    @staticmethod
    def _where(arguments: dict[str, Any]) -> dict[str, Any]:
        """Return which row is meant."""
        where: dict[str, Any] = {name: _optional(arguments, name) for name in ("point", "dropped")}
        return where | {name: arguments[name] for name in ("code", "condition") if arguments.get(name) is not None}

    def path(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        ends = _whole(arguments, "start"), _whole(arguments, "stop")
        return frame(*self.explorer.path(*ends, _whole(arguments, "n", 9), arguments.get("condition")))

    def find(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        return frame({}, find_points(self.explorer, str(arguments["text"])).tobytes())

    def complete(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        cleared = arguments["cleared"]
        if not isinstance(cleared, list):
            raise ValueError("cleared: must be a list of numbers.")
        _, X, y = self.explorer.row_like(self._where(arguments))
        n, seed = _whole(arguments, "n", 8), _whole(arguments, "seed", 0)
        return frame(*complete(self.explorer, X, y, cleared, n, seed))

    def draw(self, arguments: dict[str, Any]) -> bytes:
        n, seed = _whole(arguments, "n", 24), _whole(arguments, "seed", 0)
        return frame(*draw_rows(self.explorer, n, arguments.get("condition"), seed))

    def place(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        condition = _parse(str(arguments.get("condition", "")).encode()) or None
        return frame(place(self.explorer, str(arguments["name"]), arguments["body"], condition))
