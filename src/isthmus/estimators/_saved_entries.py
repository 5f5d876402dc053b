"""The entries of a saved model's description, and what each may be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from isthmus.estimators._condition import Condition, ContinuousCondition, DiscreteCondition
from isthmus.estimators._table_condition import TableCondition
from isthmus.serialization import FileError, decode, encode, quoted
from isthmus.tables import TableCodec

__all__ = ["check_entries", "decode_condition", "encode_condition", "invalid"]

_LARGEST = 2**63 - 1
_LONGEST_TEXT = 100
_MOST_BYTES_OF_LABELS = 1 << 26  # NumPy stores each text of an array with the width of the longest
_TEXT = re.compile(r"str(\d{1,12})", re.ASCII)  # NumPy's name for a text of so many bits, 32 for each character
_TYPES_OF_LABELS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), (int,)),
    **dict.fromkeys(("float16", "float32", "float64"), (int, float)),
    "bool": (bool,),
    "object": (str, bool, int, float),
}


def check_entries(entries: dict[str, Any]) -> None:
    """Raise a FileError unless all entries are there, and each of them is what it may be.

    A new entry gets a line in ``_CHECKS``: a function that returns whether its JSON value is valid.
    """
    for name, is_valid in _CHECKS.items():
        if name not in entries or not is_valid(entries[name]):
            raise invalid(name)
    for name in entries:
        if name not in _CHECKS:
            raise FileError(f"its description has the unknown entry {quoted(name)}; upgrade isthmus.")
    encoded = entries["table"] is not None and entries["table"]["encodes"]  # the features are not its columns
    for name in () if encoded else ("columns", "dataframe_columns"):
        if entries[name] is not None and len(entries[name]) != entries["n_features"]:
            raise FileError(
                f"its description has {len(entries[name])} {name} for {entries['n_features']} features; save the model "
                "again."
            )


def invalid(name: str) -> FileError:
    """Return the error about an entry."""
    return FileError(f"its description has no valid {name!r}; save the model again.")


# ---- what entries may be ----------------------------------------------------------------------------------------


def _is_whole_number(value: Any, least: int) -> bool:
    return type(value) is int and least <= value <= _LARGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _are_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _are_column_names(value: Any) -> bool:
    """Return whether a value is None, or names of a DataFrame's columns."""
    return value is None or (isinstance(value, list) and all(map(_is_column_name, decode(value))))


def _is_column_name(name: Any) -> bool:
    if isinstance(name, tuple):
        return all(map(_is_column_name, name))
    return name is None or isinstance(name, (str, int, float))


def _is_history(value: Any) -> bool:
    """Return whether a value is a list of records, which hold numbers, or text of somebody's own."""
    return isinstance(value, list) and all(
        isinstance(record, dict) and all(isinstance(v, (int, float, str)) for v in record.values())
        for record in decode(value)
    )


def _are_numbers(values: Any, least: float = -math.inf) -> bool:
    return isinstance(values, list) and all(type(v) in (int, float) and least <= v for v in values)


def _is_condition(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or not _is_column_name(decode(value.get("name"))):
        return False
    keys = value.keys() - {"name"}
    if keys in ({"mean", "scale"}, {"codec", "mean", "scale"}):
        mean, scale = value["mean"], value["scale"]
        codec = isinstance(value.get("codec", {}), dict)
        return codec and _are_numbers(mean) and _are_numbers(scale) and 0 < len(mean) == len(scale) and min(scale) > 0
    if keys != {"labels", "type", "class_weight"}:
        return False
    labels, weight = value["labels"], value["class_weight"]
    return _are_labels(labels, value["type"]) and _are_numbers(weight, 0.0) and len(weight) == len(labels)


def _are_labels(labels: Any, name: Any) -> bool:
    if not (isinstance(labels, list) and labels and isinstance(name, str)):
        return False
    if (text := _TEXT.fullmatch(name)) is None:
        return name in _TYPES_OF_LABELS and all(type(label) in _TYPES_OF_LABELS[name] for label in labels)
    n_bytes = int(text[1]) // 8
    widest = max(len(label) if isinstance(label, str) else n_bytes for label in labels)
    return 4 * widest <= n_bytes and n_bytes * len(labels) <= _MOST_BYTES_OF_LABELS


def _is_table(value: Any) -> bool:
    """Return whether a value is None, or a codec and whether the model learned the matrix that it makes."""
    if value is None:
        return True
    keys = isinstance(value, dict) and value.keys() == {"codec", "encodes"}
    return keys and isinstance(value["codec"], dict) and isinstance(value["encodes"], bool)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "estimator": _is_text,
    "fields": _is_dict,
    "parts": _is_dict,
    "n_features": lambda value: _is_whole_number(value, 1),
    "n_components": lambda value: _is_whole_number(value, 1),
    "masked": lambda value: isinstance(value, bool),
    "columns": _are_texts,
    "dataframe_columns": _are_column_names,
    "dtype": _is_text,
    "seed": lambda value: _is_whole_number(value, 0),
    "n_iter": lambda value: _is_whole_number(value, 0),
    "history": _is_history,
    "condition": _is_condition,
    "table": _is_table,
}


# ---- the condition ----------------------------------------------------------------------------------------------


def encode_condition(condition: Condition | None) -> Any:
    """Return a condition as JSON."""
    if condition is None:
        return None
    if isinstance(condition, TableCondition):
        numbers = {"mean": condition.mean.tolist(), "scale": condition.scale.tolist()}
        return {"codec": encode(condition.codec), **numbers}
    name = {} if condition.name is None else {"name": _encode_name(condition.name)}
    if isinstance(condition, ContinuousCondition):
        return {"mean": condition.mean.tolist(), "scale": condition.scale.tolist(), **name}
    return {
        "labels": condition.classes.tolist(),
        "type": condition.classes.dtype.name,
        "class_weight": condition.class_weight.tolist(),
        **name,
    }


def _encode_name(name: Any) -> Any:
    """Return the name of a column as JSON, as text if it has no such form."""
    try:
        return encode(name)
    except TypeError:
        return str(name)


def decode_condition(saved: Any, parts: tuple[type[Any], ...] = ()) -> Condition | None:
    """Return the condition in a checked entry.

    Raises
    ------
    FileError
        If labels do not fit their type, or are not unique and sorted; or if a codec is not like one that was fitted.
    """
    if saved is None:
        return None
    if "codec" in saved:
        return _decode_table(saved, parts)
    condition = _decode_numbers(saved) if "mean" in saved else _decode_labels(saved)
    condition.name = decode(saved.get("name"))
    return condition


def _decode_table(saved: Any, parts: tuple[type[Any], ...]) -> TableCondition:
    codec = decode(saved["codec"], parts)
    if not isinstance(codec, TableCodec):
        raise invalid("condition")
    codec.check_values()
    if len(codec.outputs()) != len(saved["mean"]):
        raise invalid("condition")
    return TableCondition(codec, np.array(saved["mean"], dtype=float), np.array(saved["scale"], dtype=float))


def _decode_numbers(saved: Any) -> ContinuousCondition:
    return ContinuousCondition(np.array(saved["mean"], dtype=float), np.array(saved["scale"], dtype=float))


def _decode_labels(saved: Any) -> DiscreteCondition:
    try:
        text = _TEXT.fullmatch(saved["type"])
        classes = np.array(saved["labels"], dtype=f"U{int(text[1]) // 32}" if text else saved["type"])
        unique = np.array_equal(np.unique(classes), classes)
    except (OverflowError, TypeError):  # a number too large for its type, or objects that cannot be sorted
        raise invalid("condition") from None
    weight = np.array(saved["class_weight"], dtype=float)
    if not unique or not weight.sum() > 0:
        raise invalid("condition")
    return DiscreteCondition(classes, weight)
