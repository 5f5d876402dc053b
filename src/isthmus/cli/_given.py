"""Values of ``isthmus sample --given NAME=VALUE``, in the type of their column."""

from __future__ import annotations

from typing import Any

from isthmus._names import suggestion

__all__ = ["parse_given"]


def parse_given(model: Any, texts: tuple[str, ...]) -> dict[Any, Any]:
    """Return the given values by column of a fitted model; those of a conditional model by column of its conditions.

    Raises
    ------
    ValueError
        If a text is no NAME=VALUE, a column is unknown or given twice, or a value is none of its column.
    """
    from isthmus.estimators._given import column_labels

    codec: Any = getattr(model._condition, "codec", None) if model.conditional else model._codec
    if model.conditional and codec is None:
        raise ValueError(f"--given {texts[0]}: the model has one condition; give it by --y.")
    labels = {str(label): label for label in (codec.names if model.conditional else column_labels(model))}
    columns = {} if codec is None else {column.name: column for column in codec.columns}
    given: dict[Any, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not (equals and name and value):
            raise ValueError(f"--given {text!r} must be NAME=VALUE, such as --given sex=F.")
        if name not in labels:
            raise ValueError(f"--given {name}: the model has no such column.{suggestion(name, labels)}")
        if labels[name] in given:
            raise ValueError(f"--given {name}: is given twice.")
        given[labels[name]] = _value(name, value, columns.get(labels[name]))
    return given


def _value(name: str, text: str, column: Any) -> Any:
    """Return a value in the type of its column; `column` is None where all columns are numbers."""
    from isthmus.tables import CategoryColumn, NumberColumn

    if isinstance(column, CategoryColumn):
        levels = {str(level): level for level in column.values if isinstance(level, (str, bool, int, float))}
        number = _number(text)
        equal = [level for level in levels.values() if not isinstance(level, (str, bool)) and level == number]
        return levels.get(text, equal[0] if equal else text)
    if column is None or isinstance(column, NumberColumn):
        number = _number(text)
        if number is None:
            raise ValueError(f"--given {name}={text}: the column has numbers.")
        return int(number) if number.is_integer() else number
    return text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
