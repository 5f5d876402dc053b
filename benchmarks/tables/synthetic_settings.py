"""Settings of `VAE` on tables, each different from the default in one step: of the codec, or of the model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
from synthetic_peers import Generator

import isthmus.estimators._choice
import isthmus.tables._numbers
from isthmus import VAE
from isthmus.likelihoods import Gaussian
from isthmus.networks import MLP
from isthmus.tables import TableCodec
from isthmus.tables._numbers import NumberColumn
from isthmus.tables._spline import NormalScores

__all__ = ["SETTINGS", "Setting"]

Change = Callable[[NumberColumn, np.ndarray], NumberColumn]


class Setting(NamedTuple):
    """What is not the default: how columns of numbers are encoded, parameters of the model, or a part of the code.

    Attributes
    ----------
    column : callable, optional
        Returns another codec of a column of numbers, from the fitted one and the column's values.
    few_are_numbers : bool
        Whether numbers with few values are numbers.
    fields : dict
        Parameters of `VAE`.
    instead : tuple of (object, str, object), optional
        A module, a name in it, and what it stands for.
    other_seed : int
        Added to the seed of the model.
    """

    column: Change | None = None
    few_are_numbers: bool = False
    fields: dict[str, Any] = {}
    instead: tuple[Any, str, Any] | None = None
    other_seed: int = 0

    def fit(self, train: pd.DataFrame, seed: int) -> Generator | None:
        """Return the model fitted to a table; None if the setting changes nothing there."""
        codec = self.codec(train)
        if codec is None:
            return None
        with self._in_place():
            model = VAE(scaling=codec, random_state=seed + self.other_seed, **self.fields).fit(train)

        def sample(n: int) -> pd.DataFrame:
            with self._in_place():
                return model.sample(n, random_state=seed + self.other_seed)

        return Generator(sample)

    def codec(self, train: pd.DataFrame) -> TableCodec | None:
        """Return the codec of a table; None if it should differ from the default, and does not."""
        has_holes = bool(train.isna().any(axis=None))
        codec = TableCodec(sample_missing=has_holes).fit(train)
        if self.few_are_numbers:
            few = [c.name for c in codec.columns or () if c.kind == "category" and train[c.name].dtype.kind in "if"]
            return TableCodec(dict.fromkeys(few, "number"), sample_missing=has_holes).fit(train) if few else None
        if self.column is None:
            return codec
        columns = codec.columns or ()
        changed = tuple(
            self.column(c, train[c.name].dropna().to_numpy(float)) if isinstance(c, NumberColumn) else c
            for c in columns
        )
        codec.columns = changed
        return None if all(a is b for a, b in zip(columns, changed, strict=True)) else codec

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        with mock.patch.object(*self.instead) if self.instead else contextlib.nullcontext():
            yield


def _spread(column: NumberColumn, values: np.ndarray) -> np.ndarray:
    """Return the values that are no levels, spread over what was rounded to them."""
    rest = values[~np.isin(values, column.spikes)]
    rest = rest if len(rest) > 1 else values
    noise = np.random.default_rng(0).random(len(rest)) - 0.5
    return rest + (column.step or 0.0) * noise


def standardised(column: NumberColumn, values: np.ndarray) -> NumberColumn:
    """Return a codec with the linear map to mean 0 and variance 1."""
    linear = tuple(NormalScores.linear(_spread(column, values)))
    return column if column.knots in (None, linear) else dataclasses.replace(column, knots=linear)


def without_levels(column: NumberColumn, values: np.ndarray) -> NumberColumn:
    """Return a codec in which frequent values have no level."""
    if not column.spikes:
        return column
    plain = dataclasses.replace(column, spikes=())
    plain.knots = tuple(NormalScores.fit(_spread(plain, values)))
    return plain


def not_spread(column: NumberColumn, values: np.ndarray) -> NumberColumn:
    """Return a codec without noise of the width of rounding; decoded numbers are still rounded to the decimals."""
    if column.step is None:
        return column
    plain = dataclasses.replace(column, step=None)
    plain.knots = tuple(NormalScores.fit(_spread(plain, values)))
    return plain


def _scale(scale: str) -> Setting:
    return Setting(instead=(isthmus.tables._numbers, "_SCORES", Gaussian(scale=scale)))


SETTINGS = {
    "default": Setting(),
    "default, another seed": Setting(other_seed=1),
    "numbers standardised instead of normal scores": Setting(standardised),
    "frequent values have no level": Setting(without_levels),
    "numbers with few values are numbers": Setting(few_are_numbers=True),
    "rounded numbers not spread": Setting(not_spread),
    "sigma of numbers by the decoder": _scale("decoder"),
    "one sigma for all numbers": _scale("shared"),
    '`prior="standard_normal"`': Setting(fields={"prior": "standard_normal"}),
    "prior not fitted to codes after training": Setting(
        instead=(isthmus.estimators._choice, "refit_prior", lambda *_: None)
    ),
    "`network=MLP(skip=False)`, no linear start": Setting(fields={"network": MLP(skip=False)}),
    "`early_stopping=False`": Setting(fields={"early_stopping": False}),
}
