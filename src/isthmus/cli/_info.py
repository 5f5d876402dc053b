"""``isthmus info``: models, fields, parts, and the contents of files."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from isthmus._formats import BUNDLED, FETCHED, split_images
from isthmus._names import PART_MODULES, UnknownNameError, unknown_name
from isthmus.cli._build import known_parts
from isthmus.cli._info_saved import aligned, describe_saved, names
from isthmus.cli._models import MODELS, class_name, loading, normalize, public_class

if TYPE_CHECKING:
    from isthmus.data import Dataset

__all__ = ["info"]


@click.command(short_help="Describe models, fields, parts and files.")
@click.argument("topic", required=False)
def info(topic: str | None) -> None:
    """Describe TOPIC, or list the models.

    \b
    isthmus info                      the models
    isthmus info vae                  every field of a model, with type, default and meaning
    isthmus info likelihoods          the parts that a field can name
    isthmus info gaussian             the parameters of a part
    isthmus info model.safetensors    a saved model
    isthmus info digits               a data set
    isthmus info people.csv           a file; of a table, how each column would be encoded
    """  # noqa: D301
    if topic is None:
        click.echo(_list_models())
        return
    if Path(topic).suffix == ".safetensors":
        click.echo(describe_saved(topic))
    elif Path(topic).suffix or topic in (*BUNDLED, *FETCHED) or Path(topic).is_file() or split_images(topic):
        click.echo(_describe_data(topic))
    elif (name := _find_model(topic)) is not None:
        click.echo(_describe_model(name))
    else:
        try:
            text = _describe_parts(topic)
        except UnknownNameError:
            if not Path(topic).is_dir():
                raise
            text = _describe_data(topic)  # a folder of tables or images
        click.echo(text)


def _find_model(topic: str) -> str | None:
    try:
        return class_name(topic)
    except ValueError:
        return None


# ---- models --------------------------------------------------------------------------------------------------


def _list_models() -> str:
    first_lines = _first_lines()
    listed = [f"  {name:<18}{first_lines[cls]}" for name, cls in MODELS.items()]
    return "\n".join(
        [
            _bold("Models"),
            *listed,
            "",
            "`isthmus info vae` describes the fields of a model. Some of them name a part; the parts of each kind are",
            f"listed by `isthmus info KIND`: {', '.join(dict.fromkeys(PART_MODULES.values()))}.",
        ]
    )


def _first_lines() -> dict[str, str]:
    """Return the first line of each estimator's docstring, read from the source because an import takes seconds."""
    lines = {}
    for file in Path(__file__).parents[1].glob("estimators/*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                lines[node.name] = (ast.get_docstring(node) or "").partition("\n")[0]
    return lines


def _describe_model(name: str) -> str:
    """Return the description of every field of a model."""
    cls = public_class(name)
    from isthmus.cli._fields import field_types
    from isthmus.estimators._fields import field_docs

    texts = field_docs(cls)
    entries = [texts[field].replace(field, _bold(field), 1) for field in field_types(cls)]
    head = (inspect.getdoc(cls) or "").partition("\n")[0]
    usage = "Set a field with --set NAME=VALUE, and a parameter of a part with --set likelihood.NAME=VALUE."
    parts = [f"  {field}: {', '.join(known_parts(field))}" for field in texts if field in PART_MODULES]
    more = "`isthmus info gaussian` describes the parameters of a part."
    training = [
        f"  {field}.NAME: {', '.join(part.parameter_names())}"
        for field in ("optimizer", "early_stopping", "trainer")
        for part in known_parts(field).values()
    ]
    sections = [_bold("Parts"), *parts, "", more, "", _bold("Parameters of training"), *training]
    return "\n".join([head, "", usage, "", *entries, "", *sections])


# ---- parts ---------------------------------------------------------------------------------------------------


def _describe_parts(topic: str) -> str:
    """Return the list of parts of one kind, or the parameters of a part."""
    with loading():
        importlib.import_module("isthmus._part")
    asked = normalize(topic)
    kinds = dict.fromkeys(PART_MODULES.values())
    kind = PART_MODULES.get(asked, asked)
    if kind in kinds:
        known = known_parts(next(field for field, module in PART_MODULES.items() if module == kind))
        width = max(map(len, known)) + 2
        return "\n".join([_bold(kind), *(f"  {name:<{width}}{_doc(part)[0]}" for name, part in known.items())])
    fields = (*PART_MODULES, "beta", "early_stopping", "trainer")
    parts = [(field, name, part) for field in fields for name, part in known_parts(field).items()]
    found = [
        "\n\n".join([f"{_bold(name)} ({field})", *_doc(part)])
        for field, name, part in parts
        if asked == normalize(name)
    ]
    if not found:
        raise unknown_name("topic", topic, {*MODELS, *kinds, *(name for _, name, _ in parts)})
    return "\n\n".join(found)


def _doc(cls: type) -> list[str]:
    """Return the first paragraph of a docstring, and its parameters if it has any."""
    text = inspect.getdoc(cls) or ""
    sections = re.split(r"\n+(\w[\w ]*)\n-+\n", text)
    named = dict(zip(sections[1::2], sections[2::2], strict=True))
    head = " ".join(sections[0].split("\n\n", maxsplit=1)[0].split())
    return [head, named["Parameters"].rstrip()] if "Parameters" in named else [head]


def _bold(text: str) -> str:
    return click.style(text, bold=True)  # click.echo removes the style if stdout is not a terminal


# ---- files ---------------------------------------------------------------------------------------------------


def _describe_data(source: str) -> str:
    import numpy as np

    from isthmus.cli._data import read_data
    from isthmus.estimators._budget import choose_budget

    rows = read_data(source)
    if rows.is_frame:
        return _describe_table(rows)
    X, columns, y, image_shape = rows.X, rows.columns, rows.y, rows.image_shape
    cells = X[np.isfinite(X)]
    lines = {
        "rows x columns": " x ".join(map(str, X.shape)) + f", {X.dtype}",
        "values": f"{cells.min():g} to {cells.max():g}" if len(cells) else "none is finite",
        **({"not finite": f"{X.size - len(cells)} cells are NaN or infinite"} if len(cells) < X.size else {}),
        **names("column names", columns or ()),
        **({"image shape": " x ".join(map(str, image_shape))} if image_shape else {}),
        **({} if y is None else {"y": f"{' x '.join(map(str, y.shape))} {y.dtype}"}),
        "training": choose_budget(len(X), "cpu").describe(len(X)),
    }
    return aligned(lines)


def _describe_table(rows: Dataset) -> str:
    """Return what a model would be trained on: the columns as the codec of the table encodes them."""
    from isthmus.cli._errors import about
    from isthmus.estimators._budget import choose_budget
    from isthmus.tables import TableCodec

    missing = int(rows.X.isna().to_numpy().sum())
    lines = {
        "rows x columns": f"{rows.X.shape[0]} x {rows.X.shape[1]}, a table",
        **({"missing": f"{missing} cells"} if missing else {}),
        "training": choose_budget(len(rows.X), "cpu", random=True).describe(len(rows.X)),
    }
    with about(rows.name):
        codec = TableCodec().fit(rows.X)
    return f"{aligned(lines)}\n\n{codec!r}"
