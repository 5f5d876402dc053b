"""The explorer in a cell of a notebook: the same page in a frame, whose calls are messages to the kernel."""

from __future__ import annotations

import functools
import html
import weakref
from typing import Any

from isthmus.explorer._background import Preparation
from isthmus.explorer._bundle import as_base64, bundle, policy_hash, static_text
from isthmus.explorer._calls import Calls
from isthmus.explorer._explorer import Explorer

__all__ = ["make_widget"]

_HEIGHT = 780  # pixels
_MODULES = (
    *("rows", "legend", "contours", "nearest", "density", "points", "map", "api", "given", "datum", "complete", "drop"),
    *("sliders", "here", "path", "sheet", "state", "tabs", "main"),
)


def make_widget(explorer: Explorer, height: int = _HEIGHT) -> Any:
    """Return a widget that shows an explorer in JupyterLab, marimo, and wherever else anywidget works.

    Parameters
    ----------
    explorer : Explorer
        What is shown; its codes are computed in the background.
    height : int, default=780
        Height of the frame in pixels.

    Returns
    -------
    anywidget.AnyWidget

    Raises
    ------
    ImportError
        If anywidget is not installed.
    """
    cls = _widget_class()
    return cls(explorer, height)


def _widget_page(explorer: Explorer) -> str:
    """Return the page as one text. It is shown in a frame that may run this script only, and load nothing."""
    style, script = static_text("style.css"), static_text("kernel.js") + bundle(_MODULES)
    policy = (
        f"default-src 'none'; img-src data: blob:; style-src {policy_hash(style)}; script-src {policy_hash(script)}"
    )
    page = static_text("index.html")
    icon = f"data:image/svg+xml;base64,{as_base64(static_text('icon.svg').encode())}"
    encoding = '<meta charset="utf-8">'
    lines = {
        encoding: f'{encoding}\n<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<link rel="icon" href="static/icon.svg">': "",
        '<link rel="stylesheet" href="static/style.css">': f"<style>{style}</style>",
        '<script type="module" src="static/main.js"></script>': "",
        "</body>": f"<script>{script}</script>\n</body>",
        "<title>isthmus explorer</title>": f"<title>{html.escape(explorer.name)} – isthmus explorer</title>",
        'src="static/icon.svg"': f'src="{icon}"',
    }
    for line, other in lines.items():
        assert page.count(line) == 1, line
        page = page.replace(line, other)
    return page


@functools.cache
def _widget_class() -> Any:
    """Return the class of the widget: a subclass of an optional library's."""
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        message = f'showing the explorer in a notebook needs {error.name}: pip install "isthmus[notebook]"'
        raise ImportError(message, name=error.name) from error

    class ExplorerWidget(anywidget.AnyWidget):
        """The explorer as a widget.

        Attributes
        ----------
        explorer : Explorer
            What is shown.
        """

        _esm = static_text("widget.js")
        page = traitlets.Unicode().tag(sync=True)
        height = traitlets.Int(_HEIGHT).tag(sync=True)

        def __init__(self, explorer: Explorer, height: int) -> None:
            super().__init__(page=_widget_page(explorer), height=height)
            self.explorer = explorer
            preparation = Preparation(explorer)
            self._calls = Calls(preparation)
            preparation.start()
            weakref.finalize(self, preparation.stop)  # also when the kernel ends
            self.on_msg(self._answer)

        def __repr__(self) -> str:
            """Return what Jupyter prints if it cannot show the widget."""
            return (
                f"ExplorerWidget of {self.explorer.name!r}. If you see this text and no page, anywidget is not "
                "installed where Jupyter runs (its kernel may run elsewhere): install it there, and reload the page."
            )

        def _answer(self, _widget: Any, asked: Any, buffers: list[Any]) -> None:
            """Answer a message of the page: its number comes back, with the answer or an error."""
            view, number, name = asked["view"], asked["number"], str(asked["name"])
            sent = {"view": view, "number": number}
            if name not in self._calls.named():
                self.send({**sent, "error": f"There is no {name!r}."})
                return
            body = bytes(buffers[0]) if buffers else str(asked.get("body", "")).encode()
            answer = self._calls.answer(name, body, dict(asked.get("query") or {}))
            if answer.error is not None:
                self.send({**sent, "error": answer.error})
            else:
                self.send(sent, [answer.body])

    return ExplorerWidget
