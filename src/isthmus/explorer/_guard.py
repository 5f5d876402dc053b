"""Access control: the token, the Host and Origin headers, and limits of sizes."""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "Guard"]

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Lets a request pass if it knows the token and comes from the explorer's own page.

    The token is the first part of every path, so that scripts and pictures need it as well. It is removed before the
    application sees the path.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    token : str
        The secret.
    hosts : tuple of str
        Values of the Host header that are accepted: a page of another name that resolves to this machine is refused.
    max_body : int
        Largest body of a request, in bytes.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: tuple[str, ...], max_body: int) -> None:
        self.app, self.token, self.hosts, self.max_body = app, token, hosts, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no WebSockets
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {key.lower(): value for key, value in scope["headers"]}
        refusal = self._refusal(scope["path"], headers)
        if refusal:
            await _answer(send, *refusal)
            return
        path = scope["path"][len(self.token) + 1 :]
        scope = {**scope, "path": path, "raw_path": path.encode()}
        await self.app(scope, _limited(receive, self.max_body), _with_headers(send))

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Return the status and the reason for which a request is refused; None if it may pass."""
        host = headers.get(b"host", b"").decode("latin-1")
        if host not in self.hosts:
            return 403, "This host name is not that of the explorer."
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") not in {f"http://{name}" for name in self.hosts}:
            return 403, "Another page may not use the explorer."
        token = path.split("/", 2)[1] if path.startswith("/") else ""
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return 403, "The address lacks the token: open the one that `isthmus explore` has printed."
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.max_body:
            return 413, f"A request may have {self.max_body // 2**20} MiB."
        return None


def _limited(receive: Receive, limit: int) -> Receive:
    """Return `receive` that raises if a body, of whatever announced length, is longer than `limit`."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise ValueError(f"A request may have {limit // 2**20} MiB.")
        return message

    return limited


def _with_headers(send: Send) -> Send:
    """Return `send` that adds the headers to each answer."""
    added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def sends(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return sends


async def _answer(send: Send, status: int, text: str) -> None:
    body = json.dumps({"error": text}).encode()
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    answer = _with_headers(send)
    await answer({"type": "http.response.start", "status": status, "headers": headers})
    await answer({"type": "http.response.body", "body": body})
