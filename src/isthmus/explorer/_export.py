"""The explorer's plane as one HTML file, with the model's decoder, or a grid of rows that were decoded beforehand."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import numpy as np

from isthmus.explorer._bundle import as_base64, bundle, policy_hash, static_text
from isthmus.explorer._decoder import pack_decoder
from isthmus.explorer._explorer import Explorer

__all__ = ["export_page"]

MAX_POINTS = 20_000  # rows on the map
MAX_COLOURS = 12
_GRID_BYTES = 3_000_000  # of decoded images
_GRID_CELLS = 40_000  # of decoded tables
_MODULES = (  # in order of use
    "rows",
    "sliders",
    "legend",
    "contours",
    "nearest",
    "density",
    "points",
    "map",
    "decoder",
    "exported",
)


def export_page(explorer: Explorer) -> str:
    """Return the page: the plane of the two units that move rows most, without a server.

    The page holds the decoder if :func:`pack_decoder` has it, and sliders for all units. Otherwise, a grid of rows is
    decoded with all other units at the mean of their codes; of a conditional model, it is the average over the classes,
    or given the values at which condition columns start. The page needs no other file, makes no request, and has at
    most 20,000 rows as points. It holds codes, and what they are coloured by, of these rows.

    Parameters
    ----------
    explorer : Explorer
        With codes: ``prepare(scores=False)`` is enough.

    Raises
    ------
    ValueError
        If the model has one unit only.
    """
    if explorer.n_units < 2:
        raise ValueError("the page needs a plane, and the model has one unit only.")
    units = explorer.importance[:2].tolist()
    points = explorer.order[:MAX_POINTS]
    data: dict[str, Any] = {
        "row": explorer.rows.describe(),
        "n_rows": explorer.n_rows,
        "n_points": len(points),
        "prior": explorer.prior.contours(*units),
        "axes": [_axis(explorer, k, len(points)) for k in units],
        "colours": [_colour(explorer, k, points) for k in _shown_colours(explorer)],
    }
    data |= _decoder(explorer, units) or _grid(explorer, units)
    return _fill(explorer, data)


def _decoder(explorer: Explorer, units: list[int]) -> dict[str, Any] | None:
    """Return the decoder, and what the page has to know of all units; None if it has to show the grid."""
    decoder = pack_decoder(explorer)
    if decoder is None:
        return None
    low, high = explorer.ranges.tolist()
    order = explorer.importance.tolist()
    return {"decoder": decoder, "units": units, "code": _mean(explorer), "low": low, "high": high, "order": order}


def _grid(explorer: Explorer, units: list[int]) -> dict[str, Any]:
    """Return rows that are decoded on a grid."""
    limits = [[min(low, -2.5), max(high, 2.5)] for low, high in explorer.ranges[:, units].T.tolist()]
    n_grid = _grid_size(explorer)
    header, body = explorer.decode(_grid_codes(explorer, units, limits, n_grid))
    rows = {"bytes": as_base64(body)} if body else {"cells": header}
    return {"n_grid": n_grid, "limits": limits, **rows}


def _mean(explorer: Explorer) -> list[float]:
    """Return the mean of the codes."""
    return (explorer.codes.mean(axis=0) if explorer.n_rows else np.zeros(explorer.n_units)).tolist()


def _grid_size(explorer: Explorer) -> int:
    """Return how many rows are decoded in each direction."""
    described = explorer.rows.describe()
    if described["kind"] == "image":
        budget = _GRID_BYTES / (described["width"] * described["height"] * described["channels"])
    else:
        budget = _GRID_CELLS / len(described["columns"])
    return max(9, min(41, int(budget**0.5)))


def _grid_codes(explorer: Explorer, units: list[int], limits: list[list[float]], n: int) -> np.ndarray:
    """Return the codes of the grid, (n * n, K); the second unit changes fastest."""
    codes = np.tile(_mean(explorer), (n * n, 1))
    first, second = (np.linspace(low, high, n) for low, high in limits)
    codes[:, units[0]], codes[:, units[1]] = np.repeat(first, n), np.tile(second, n)
    return codes


def _axis(explorer: Explorer, k: int, n: int) -> dict[str, Any]:
    low, high = explorer.ranges[:, k].tolist()
    return {"name": f"unit {k}", "low": low, "high": high, "data": as_base64(explorer.unit(k)[: 2 * n])}


def _shown_colours(explorer: Explorer) -> list[int]:
    """Return the numbers of the colourings that the page offers, the default one first; scores take long."""
    default = explorer.describe()["colour"]
    numbers = [k for k, colour in enumerate(explorer.colours) if colour.kind != "score"]
    return sorted(numbers, key=lambda k: k != default)[:MAX_COLOURS]


def _colour(explorer: Explorer, k: int, points: np.ndarray) -> dict[str, Any]:
    legend, index = explorer.colours[k].compute(explorer)
    shown = index[points]
    legend = {**legend, "counts": np.bincount(shown, minlength=len(legend["names"])).tolist()}
    return {"name": explorer.colours[k].name, "legend": legend, "index": as_base64(shown.astype(np.uint8).tobytes())}


def _note(explorer: Explorer, data: dict[str, Any]) -> str:
    """Return where the row at the marker comes from."""
    given = ""
    if explorer.conditions.classes is not None:
        given = ", averaged over the classes"
    elif explorer.conditions.fields:
        given = ", given " + ", ".join(f"{name} {value}" for name, value in explorer.conditions.start.items())
    if "decoder" in data:
        n = data["decoder"]["n_numbers"]
        return f"This page holds the decoder of the model ({n:,} numbers), and computes each row exactly{given}."
    n = data["n_grid"]
    note = f"A grid of {n} × {n} rows was decoded beforehand, with all other units at the mean of their codes{given}. "
    return note + ("Images between them are mixed." if data["row"]["kind"] == "image" else "The nearest one is shown.")


def _fill(explorer: Explorer, data: dict[str, Any]) -> str:
    """Return the HTML. Its policy allows its own script and style, by their hashes, and nothing else."""
    style, script = static_text("style.css"), bundle(_MODULES)
    policy = f"default-src 'none'; style-src {policy_hash(style)}; script-src {policy_hash(script)}; base-uri 'none'"
    described = f"{explorer.name}: {type(explorer.model).__name__}, {explorer.n_units} units"
    if explorer.n_rows > MAX_POINTS:
        described += f" · {MAX_POINTS:,} of {explorer.n_rows:,} rows, drawn at random"
    note = _note(explorer, data)
    values = {
        "policy": policy,
        "title": html.escape(f"{explorer.name} – isthmus explorer"),
        "what": html.escape(described),
        "note": html.escape(note),
        "style": style,
        "script": script,
        "data": json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
    }
    return re.sub("@([a-z]+)@", lambda found: values[found[1]], static_text("exported.html"))
