"""The web application: the page and its files, and what the page asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources
from typing import TYPE_CHECKING

from isthmus.explorer._background import Preparation
from isthmus.explorer._calls import Calls
from isthmus.explorer._guard import Guard

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

__all__ = ["MAX_BODY", "create_app"]

MAX_BODY = 32 * 2**20  # bytes of a dropped file
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}


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
    calls = Calls(preparation)

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return Response("There is no such file.", status_code=404)
        body, kind = files[name]
        return Response(body, headers={"content-type": kind})

    routes = [Route("/", page), Route("/static/{name}", page)]
    routes += [Route(f"/api/{name}", _endpoint(name, calls), methods=["GET", "POST"]) for name in calls.named()]
    return Guard(Starlette(routes=routes), token, hosts, MAX_BODY)


def _endpoint(name: str, calls: Calls) -> Callable[[Request], Awaitable[Response]]:
    """Return the function that answers requests by the call of this name."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, Response

    async def endpoint(request: Request) -> Response:
        try:
            body = await request.body()
        except ValueError as error:  # it is too long
            return JSONResponse({"error": str(error)}, status_code=400)
        arguments = name, body, dict(request.query_params)
        if calls.waits(name):
            answer = await run_in_threadpool(calls.answer, *arguments)
        else:
            answer = calls.answer(*arguments)  # a change of threads would take as long as this
        if answer.error is not None:
            return JSONResponse({"error": answer.error}, status_code=answer.status)
        return Response(answer.body, media_type="application/octet-stream")

    return endpoint
