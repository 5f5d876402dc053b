"""The web application: the page and its files, and what the page asks for."""

from __future__ import annotations

import json
import struct
import traceback
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

from isthmus.explorer._background import Preparation
from isthmus.explorer._completions import complete, draw_rows
from isthmus.explorer._dropping import place
from isthmus.explorer._guard import Guard
from isthmus.explorer._search import find_points

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

__all__ = ["MAX_BODY", "create_app", "frame"]

MAX_BODY = 32 * 2**20  # bytes of a dropped file
_MAX_JSON = 2**20  # bytes of any other request
_MAX_CODES = 1024  # codes that are decoded in one request
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}


def frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    """Return an object and bytes as one answer: the length of the JSON, the JSON, and the bytes.

    The bytes start at a multiple of eight, so that a browser can look at them as numbers of any type.
    """
    text = json.dumps(header, allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return struct.pack("<I", len(text)) + text + body


def _static_files() -> dict[str, tuple[bytes, str]]:
    """Return the files of the page by name; requests are looked up here, and never on the disk."""
    folder = resources.files("isthmus.explorer") / "static"
    files = [file for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES]
    return {file.name: (file.read_bytes(), _TYPES[file.name.rpartition(".")[2]]) for file in files}


def create_app(preparation: Preparation, token: str, hosts: tuple[str, ...]) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    preparation : Preparation
        The explorer, and the computation of its codes.
    token : str
        The first part of every path.
    hosts : tuple of str
        Host names (with port) under which the page may be asked for.

    Raises
    ------
    ImportError
        If starlette is not installed.
    """
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    files = _static_files()
    calls = _Calls(preparation)

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return Response("There is no such file.", status_code=404)
        body, kind = files[name]
        return Response(body, headers={"content-type": kind})

    routes = [Route("/", page), Route("/static/{name}", page)]
    for name, call in calls.named().items():
        routes.append(Route(f"/api/{name}", _endpoint(call, preparation), methods=["GET", "POST"]))
    return Guard(Starlette(routes=routes), token, hosts, MAX_BODY)


def _endpoint(call: Callable[[Any], bytes], preparation: Preparation) -> Callable[[Request], Awaitable[Response]]:
    """Return the function that answers requests by `call`, in a thread, with errors as JSON."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response

    name = getattr(call, "__name__", "")
    raw, quick = name == "place", name == "decode"

    async def endpoint(request: Request) -> Response:
        try:
            body = await request.body()
            preparation.touch()  # before it waits for the model, which the scores of all rows keep busy
            given = {"body": body} if raw else _parse(body)
            arguments: dict[str, Any] = {**request.query_params, **given}
            if quick and not preparation.explorer.lock.locked():
                answer = call(arguments)  # a change of threads would take as long as this
            else:
                answer = await run_in_threadpool(call, arguments)
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            text = f"{error.args[0]} is missing." if isinstance(error, KeyError) else str(error)
            return JSONResponse({"error": text or type(error).__name__}, status_code=400)
        except Exception as error:
            traceback.print_exc()
            text = f"This {type(error).__name__} is a bug in isthmus; its traceback is on the terminal."
            return JSONResponse({"error": text}, status_code=500)
        preparation.touch()
        return Response(answer, media_type="application/octet-stream")

    return endpoint


def _parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request; an empty one for an empty body."""
    if len(body) > _MAX_JSON:
        raise ValueError(f"A request may have {_MAX_JSON // 2**20} MiB.")

    def refuse(text: str) -> Any:
        raise ValueError(f"{text} is no number that can be used.")

    found = json.loads(body or b"{}", parse_constant=refuse)
    if not isinstance(found, dict):
        raise ValueError("A request is one JSON object.")
    return found


def _whole(arguments: dict[str, Any], name: str, default: int | None = None) -> int:
    """Return a whole number of the arguments."""
    value = arguments[name] if default is None else arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{name}: must be a whole number.")
    try:
        return int(value)
    except ValueError as error:
        raise ValueError(f"{name}: must be a whole number.") from error


def _optional(arguments: dict[str, Any], name: str) -> int | None:
    return None if arguments.get(name) is None else _whole(arguments, name)


class _Calls:
    """What the page may ask for: each method answers one address, with its arguments."""

    def __init__(self, preparation: Preparation) -> None:
        self.preparation, self.explorer = preparation, preparation.explorer

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
        return frame(*self.explorer.decode(codes, _optional(arguments, "label")))

    def inspect(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        return frame(*self.explorer.inspect(self._where(arguments)))

    @staticmethod
    def _where(arguments: dict[str, Any]) -> dict[str, Any]:
        """Return which row is meant."""
        where: dict[str, Any] = {name: _optional(arguments, name) for name in ("point", "dropped", "label")}
        return where if arguments.get("code") is None else where | {"code": arguments["code"]}

    def path(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        ends = _whole(arguments, "start"), _whole(arguments, "stop")
        return frame(*self.explorer.path(*ends, _whole(arguments, "n", 9)))

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
        return frame(*draw_rows(self.explorer, n, _optional(arguments, "label"), seed))

    def place(self, arguments: dict[str, Any]) -> bytes:
        self._require_ready()
        return frame(place(self.explorer, str(arguments["name"]), arguments["body"]))
