"""``isthmus info``: what there is, what each field means, and what a file holds."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import click

from isthmus._names import nearest
from isthmus.cli._models import MODELS, ROOMS, class_name, known_parts, load_model, loading, plain, public_class

__all__ = ["info"]


@click.command(short_help="List models, fields, parts; describe a model or data file.")
@click.argument("topic", required=False)
def info(topic: str | None) -> None:
    """List the models; or describe TOPIC.

    \b
    isthmus info                      the models
    isthmus info vae                  every field of a model, with type, default and meaning
    isthmus info likelihoods          the parts that a field can name
    isthmus info gaussian             a part's own parameters
    isthmus info model.safetensors    a saved model
    isthmus info digits               a data set
    """  # noqa: D301
    if topic is None:
        click.echo(_models())
        return
    from isthmus.data import BUNDLED  # with numpy, for which a list of models need not wait

    if Path(topic).suffix == ".safetensors":
        click.echo(_saved(topic))
    elif Path(topic).suffix or topic in BUNDLED or Path(topic).is_file():
        click.echo(_data_set(topic))
    elif (name := _model_named(topic)) is not None:
        click.echo(_fields(name))
    else:
        click.echo(_parts(topic))


def _model_named(topic: str) -> str | None:
    try:
        return class_name(topic)
    except ValueError:
        return None


# ---- models ---------------------------------------------------------------------------------------------------------


def _models() -> str:
    """Return the list of models."""
    lines = _first_lines()
    listed = [f"  {name:<18}{lines[cls]}" for name, cls in MODELS.items()]
    return "\n".join(
        [
            _bold("Models"),
            *listed,
            "",
            "`isthmus info vae` lists a model's fields. Parts that a field can name are listed by kind, as in",
            f"`isthmus info likelihoods`: {', '.join(dict.fromkeys(ROOMS.values()))}.",
        ]
    )


def _first_lines() -> dict[str, str]:
    """Return the first line of every estimator's docstring, from the source: to import it takes seconds."""
    lines = {}
    for file in Path(__file__).parents[1].glob("estimators/*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                lines[node.name] = (ast.get_docstring(node) or "").partition("\n")[0]
    return lines


def _fields(name: str) -> str:
    """Return every field of a model with its text."""
    cls = public_class(name)
    from isthmus.cli._fields import field_types
    from isthmus.estimators._fields import field_docs

    texts = field_docs(cls)
    entries = [_entry(texts[field]) for field in field_types(cls)]
    head = (inspect.getdoc(cls) or "").partition("\n")[0]
    tail = [_bold("Parts"), *(f"  {field}: {', '.join(known_parts(field))}" for field in ROOMS if field in texts)]
    usage = "Set a field with --set name=value; `isthmus info gaussian` shows what --set likelihood__... can be."
    return "\n".join([head, "", usage, "", *entries, "", *tail])


def _entry(text: str) -> str:
    """Return a field's text with its name made bold."""
    name, _, rest = text.partition(" : ")
    return f"{_bold(name)} : {rest}"


# ---- parts ----------------------------------------------------------------------------------------------------------


def _parts(topic: str) -> str:
    """Return the parts of a room, or what a part has to be told."""
    with loading():
        from isthmus._part import find
    asked = plain(topic)
    rooms = dict.fromkeys(ROOMS.values())
    room = ROOMS.get(asked, asked)
    if room in rooms:
        return "\n".join([_bold(room), *(f"  {name:<22}{_doc(part)[0]}" for name, part in find(room).items())])
    parts = [(field, name, part) for field in (*ROOMS, "beta") for name, part in known_parts(field).items()]
    found = [
        "\n\n".join([f"{_bold(name)} ({field})", *_doc(part)]) for field, name, part in parts if asked == plain(name)
    ]
    if not found:
        raise nearest("topic", topic, {*MODELS, *rooms, *(name for _, name, _ in parts)})
    return "\n\n".join(found)


def _doc(cls: type) -> list[str]:
    """Return the first paragraph of a docstring, and its parameters where it has some."""
    text = inspect.getdoc(cls) or ""
    sections = re.split(r"\n+(\w[\w ]*)\n-+\n", text)
    named = dict(zip(sections[1::2], sections[2::2], strict=True))
    head = " ".join(sections[0].split("\n\n", maxsplit=1)[0].split())
    return [head, named["Parameters"].rstrip()] if "Parameters" in named else [head]


def _bold(text: str) -> str:
    return click.style(text, bold=True)  # click.echo leaves the style out where stdout is no terminal


# ---- files ----------------------------------------------------------------------------------------------------------


def _saved(path: str) -> str:
    """Return what a model file holds."""
    model = load_model(path)
    n_parameters = sum(p.numel() for p in model.model_.parameters())
    lines = {
        "model": type(model).__name__,
        "columns": f"{model.n_features_in_} -> {model.n_components} units",
        **_names("column names", getattr(model, "feature_names_in_", ())),
        **_names("labels", getattr(model, "classes_", ())),
        "weights": f"{n_parameters:,} numbers, {Path(path).stat().st_size / 1e6:.1f} MB",
        "trained": f"{model.n_iter_} epochs, {sum(record['seconds'] for record in model.history_):.1f} s",
        **_last_losses(model.history_),
        "fields changed": ", ".join(f"{k}={v!r}" for k, v in _changed(model).items()) or "none",
    }
    return _listed(lines)


def _data_set(source: str) -> str:
    """Return what `isthmus` reads from a data file."""
    import numpy as np

    from isthmus.data import read

    X, columns, y, image_shape, _ = read(source)
    cells = X[np.isfinite(X)]
    lines = {
        "rows x columns": " x ".join(map(str, X.shape)) + f", {X.dtype}",
        "values": f"{cells.min():g} to {cells.max():g}" if len(cells) else "none is finite",
        **({"not finite": f"{X.size - len(cells)} cells are NaN or infinite"} if len(cells) < X.size else {}),
        **_names("column names", columns or ()),
        **({"image shape": " x ".join(map(str, image_shape))} if image_shape else {}),
        **({} if y is None else {"y": f"{' x '.join(map(str, y.shape))} {y.dtype}"}),
    }
    return _listed(lines)


def _listed(lines: dict[str, str]) -> str:
    return "\n".join(f"{_bold(f'{name:<16}')}{text}" for name, text in lines.items())


def _names(title: str, names: Any) -> dict[str, str]:
    """Return a line of names, the first few of many."""
    shown = ", ".join(str(name) for name in names[:12])
    return {title: shown + (f", ... ({len(names)})" if len(names) > 12 else "")} if len(names) else {}


def _last_losses(history: list[dict[str, float]]) -> dict[str, str]:
    """Return the terms of the last epoch."""
    if not history:
        return {}
    terms = [f"{k} {v:.4g}" for k, v in history[-1].items() if k not in ("epoch", "learning_rate", "seconds")]
    return {"last epoch": ", ".join(terms) + "  (nats a row, scaled data)"}


def _changed(model: Any) -> dict[str, Any]:
    """Return the fields that are not the class's defaults."""
    defaults = type(model)().get_params(deep=False)
    fields = model.get_params(deep=False)
    return {
        name: value
        for name, value in fields.items()
        if name not in ("verbose", "callbacks", "loggers") and value != defaults[name]
    }
