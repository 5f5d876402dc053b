"""``isthmus info FILE``: what a saved model or a checkpoint says of itself. No network is built."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from isthmus.cli._models import check_exists, loading

if TYPE_CHECKING:
    from isthmus.serialization import SavedFile

__all__ = ["aligned", "describe_saved", "names"]

_KEPT = "Kept from the training data (no rows; docs/trust.md says how to leave each out)"


def describe_saved(path: str) -> str:
    """Return the description of a file, after comparing it with its checksum."""
    check_exists(path)
    with loading():
        from isthmus.serialization import open_saved, printable
    with open_saved(path) as file:
        file.read_tensors()
        lines = _LINES[file.kind](file.description)
        numbers = sum(math.prod(tensor.shape) for tensor in file.tensors.values())
        lines["tensors"] = f"{len(file.tensors)} of {numbers:,} numbers, {file.n_bytes / 1e6:.1f} MB"
        lines["file"] = f"a {file.kind.replace('_', '-')}, format {file.version}"
        kept = _kept(file)
    with Path(path).open("rb") as content:
        lines["sha256"] = hashlib.file_digest(content, "sha256").hexdigest()
    sections = [{name: printable(text) for name, text in section.items()} for section in (lines, kept)]
    return f"\n\n{click.style(_KEPT, bold=True)}\n".join(map(aligned, filter(None, sections)))


def _model(entries: dict[str, Any]) -> dict[str, str]:
    """Return the lines about a saved model, of a checked description."""
    from isthmus.estimators._saved_entries import check_entries
    from isthmus.serialization import decode

    check_entries(entries)
    history = decode(entries["history"])
    seconds = sum(_number(record.get("seconds")) for record in history)
    return {
        "model": entries["estimator"],
        "columns": f"{_widths(entries)} -> {entries['n_components']} units",
        **names("column names", entries["columns"] or ()),
        **names("labels", (entries["condition"] or {}).get("labels", ())),
        "training": f"{entries['n_iter']} epochs, {seconds:.1f} s",
        **_last_losses(history),
        **_fields(entries),
    }


def _widths(entries: dict[str, Any]) -> str:
    """Return the number of columns, and of the numbers that stand for them if those of a table are more or fewer."""
    n_columns, n_features = len(entries["columns"] or ()), entries["n_features"]
    return f"{n_columns}, as {n_features} numbers" if n_columns not in (0, n_features) else f"{n_features}"


def _fields(entries: dict[str, Any]) -> dict[str, str]:
    """Return a line with the fields that are no defaults, or one that says which classes `load` needs to be passed."""
    from isthmus.estimators._loading import describe
    from isthmus.serialization import unknown_parts

    own = sorted(unknown_parts([entries["fields"], entries["parts"]]))
    if own:
        return {"your own parts": f"load(..., parts=[{', '.join(own)}])"}
    estimator, model = describe(entries)
    values, defaults = (model.get_params(deep=False) for model in (estimator, type(estimator)()))
    changed = [name for name in values if name != "verbose" and values[name] != defaults[name]]
    return {
        "likelihood": repr(model.likelihood),
        "prior": repr(model.prior),
        "fields": ", ".join(f"{name}={values[name]!r}" for name in changed) or "all defaults",
    }


def _meta_estimator(entries: dict[str, Any]) -> dict[str, str]:
    """Return the lines about an imputer or detector, and about the model in it."""
    from isthmus.metaestimators._saving import check_entries
    from isthmus.serialization import decode, printable

    check_entries(entries)
    fields = decode(entries["fields"])
    shown = ", ".join(f"{name}={value!r}" for name, value in fields.items()) if isinstance(fields, dict) else ""
    return {"meta-estimator": f"{entries['meta_estimator']}({printable(shown)})", **_model(entries["model"])}


def _kept(file: SavedFile) -> dict[str, str]:
    """Return the lines about what is kept of the training data; none about a checkpoint."""
    if file.kind == "checkpoint":
        return {}
    from isthmus.estimators._kept_data import list_kept
    from isthmus.estimators._loading import describe
    from isthmus.estimators._saved_entries import decode_condition
    from isthmus.serialization import unknown_parts

    entries = file.description["model"] if file.kind == "meta_estimator" else file.description
    if unknown_parts([entries["fields"], entries["parts"], entries["table"], entries["condition"]]):
        return {"not known": "the model has parts of your own"}
    estimator, model = describe(entries)
    condition, names = decode_condition(entries["condition"]), entries["columns"] or ()
    found = list_kept(model, estimator._table, condition, names, encoded=estimator._encodes)
    if (scores := file.tensors.get("calibration_scores")) is not None:
        found["scores"] = f"of {math.prod(scores.shape):,} held-out rows"
    return found or {"nothing": "except what the parameters have learned"}


def _checkpoint(entries: dict[str, Any]) -> dict[str, str]:
    """Return the lines about a checkpoint."""
    settings = entries.get("settings")
    settings = settings if isinstance(settings, dict) else {}
    return {
        "checkpoint of": str(settings.get("estimator")),
        "data": f"{settings.get('rows')} rows x {settings.get('columns')} columns",
        "training": f"{entries.get('epochs')} epochs and {entries.get('steps')} steps",
    }


def aligned(lines: dict[str, str]) -> str:
    """Return lines of names and texts."""
    return "\n".join(f"{click.style(f'{name:<16}', bold=True)}{text}" for name, text in lines.items())


def names(title: str, names: Any) -> dict[str, str]:
    """Return a line with the first names, or nothing if there are none."""
    shown = ", ".join(str(name) for name in names[:12])
    return {title: shown + (f", ... ({len(names)})" if len(names) > 12 else "")} if len(names) else {}


def _last_losses(history: list[dict[str, Any]]) -> dict[str, str]:
    """Return a line with the loss terms of the last epoch."""
    if not history:
        return {}
    terms = {name: value for name, value in history[-1].items() if name not in ("epoch", "learning_rate", "seconds")}
    shown = ", ".join(f"{name} {_number(value):.4g}" for name, value in terms.items())
    return {"last epoch": shown + "  (nats per row of scaled data)"}


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) else math.nan if isinstance(value, str) else 0.0


_LINES = {"model": _model, "meta_estimator": _meta_estimator, "checkpoint": _checkpoint}
