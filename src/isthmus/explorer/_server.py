"""Serve the page on this machine, and open it in the browser."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from isthmus.explorer._app import create_app
from isthmus.explorer._background import Preparation
from isthmus.explorer._explorer import Explorer

__all__ = ["Server", "check_installed", "free_socket", "has_display", "serve"]

PORT = 8765
_N_PORTS = 100  # ports that are tried


def check_installed() -> None:
    """Raise an ImportError that names the extra unless the libraries of the server are installed."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        message = f'the explorer needs {error.name}, which is not installed: pip install "isthmus[explore]"'
        raise ImportError(message, name=error.name) from error


def free_socket(port: int, *, n_ports: int = _N_PORTS) -> socket.socket:
    """Return a socket of this machine only, bound to a port, or to the next one that is free.

    Raises
    ------
    OSError
        If none of `n_ports` ports is free.
    """
    for candidate in range(port, min(port + n_ports, 65536)):
        # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is named: 40 ms otherwise.
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if sys.platform != "win32":  # a port that a closed server has just left is free
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(("127.0.0.1", candidate))
            found.listen(128)
        except OSError:
            found.close()
            continue
        return found
    raise OSError(f"none of the ports {port} to {port + n_ports - 1} is free; pass another with --port.")


class Server:
    """The explorer on a port of this machine.

    Parameters
    ----------
    explorer : Explorer
        What is shown.
    port : int, default=8765
        Port; if it is taken, the next free one. 0 takes any.
    progress : callable, optional
        See :class:`Preparation`.
    """

    def __init__(
        self, explorer: Explorer, *, port: int = PORT, progress: Callable[[str, int, int], None] | None = None
    ) -> None:
        check_installed()
        import uvicorn

        self.preparation = Preparation(explorer, progress)
        self.socket = free_socket(port)
        self.port, self.token = int(self.socket.getsockname()[1]), secrets.token_urlsafe(24)
        self.hosts = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")
        app = create_app(self.preparation, self.token, self.hosts)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="critical",
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                ws="none",
                timeout_graceful_shutdown=0,
            )
        )

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        return f"http://{self.hosts[0]}/{self.token}/"

    def run(self) -> None:
        """Serve until Ctrl-C."""
        self.preparation.start()
        try:
            self._server.run(sockets=[self.socket])
        finally:
            self.preparation.stop()
            self.socket.close()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve in a thread inside the block, and give the address."""
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        while not self._server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield self.url
        finally:
            self._server.should_exit = self._server.force_exit = True
            thread.join(timeout=5)


def serve(
    explorer: Explorer,
    *,
    port: int = PORT,
    open_browser: bool = True,
    announce: Callable[[str], Any] = print,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Serve the page of an explorer until Ctrl-C.

    Parameters
    ----------
    explorer : Explorer
        What is shown.
    port : int, default=8765
        Port; if it is taken, the next free one is.
    open_browser : bool, default=True
        Whether the page is opened in the browser.
    announce : callable
        Is called with the address.
    progress : callable, optional
        Is called with what is computed, how many rows are done, and of how many.

    Raises
    ------
    ImportError
        If starlette or uvicorn is not installed.
    OSError
        If no port is free.
    """
    server = Server(explorer, port=port, progress=progress)
    announce(server.url)
    if open_browser and has_display():  # the socket listens already: the browser waits until the server answers
        threading.Thread(target=_open, args=(server.url,), daemon=True).start()
    server.run()


def has_display() -> bool:
    """Return whether a browser can show a window: on Linux without one, a text browser would take the terminal."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _open(url: str) -> None:
    try:
        webbrowser.open(url)
    except (webbrowser.Error, OSError):
        return  # the address has been announced
