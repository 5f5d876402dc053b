"""Generators of synthetic tables: independent columns, a Gaussian copula, a mixture over the codec, TVAE and CTGAN."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from synthetic_scores import is_number

from isthmus.tables import TableCodec

__all__ = ["PEERS", "Generator"]

_COMPONENTS = (1, 2, 4, 8, 16, 32, 64, 128)
_RIDGE = 1e-3
_FEW = 20  # numbers with at most so many values are discrete to TVAE and CTGAN, as to the codec

Array = np.ndarray


class Generator(NamedTuple):
    """A fitted generator: how to draw n rows, and log p(x) of rows up to a constant, if there is one."""

    sample: Callable[[int], pd.DataFrame]
    log_prob: Callable[[pd.DataFrame], Array] | None = None


def independent(train: pd.DataFrame, seed: int) -> Generator:
    """Draw each column from its values."""
    rng = np.random.default_rng(seed)
    return Generator(lambda n: pd.DataFrame({c: rng.choice(train[c].to_numpy(), n) for c in train}))


def copula(train: pd.DataFrame, seed: int) -> Generator:
    """Draw normal scores with the correlations of those of the columns; levels are intervals, the frequent ones first.

    A missing number is a level of a column of its own.
    """
    rng = np.random.default_rng(seed)
    gone = {f"{c} is missing": train[c].isna() for c in train if is_number(train[c]) and train[c].isna().any()}
    table = train.assign(**gone)
    values, marks = {}, []
    for name in table:
        cells = table[name]
        if is_number(cells):
            seen = np.sort(cells.dropna().to_numpy(float))
            filled = cells.to_numpy(float).copy()
            filled[np.isnan(filled)] = rng.choice(seen, int(np.isnan(filled).sum()))
            low, high = (np.searchsorted(seen, filled, side=side) for side in ("left", "right"))
            below = (low + (high - low) * rng.random(len(table))) / len(seen)
            values[name] = seen
        else:
            cells = cells.astype(object).where(cells.notna(), None)
            shares = cells.value_counts(normalize=True, dropna=False)
            ends = np.concatenate([[0.0], shares.cumsum().to_numpy()])
            at = cells.map({level: i for i, level in enumerate(shares.index)}).to_numpy(int)
            below = ends[at] + (ends[at + 1] - ends[at]) * rng.random(len(table))
            values[name] = (list(shares.index), ends)
        marks.append(ndtri(np.clip(below, 1e-6, 1 - 1e-6)))
    correlation = np.corrcoef(np.array(marks)) + 1e-6 * np.eye(len(marks))

    def sample(n: int) -> pd.DataFrame:
        shares = ndtr(rng.multivariate_normal(np.zeros(len(correlation)), correlation, n))
        made: dict[str, Any] = {}
        for name, share in zip(table, shares.T, strict=True):
            if is_number(table[name]):
                made[name] = values[name][np.minimum((share * len(values[name])).astype(int), len(values[name]) - 1)]
            else:
                levels, ends = values[name]
                index = np.clip(np.searchsorted(ends, share, side="right") - 1, 0, len(levels) - 1)
                made[name] = np.array(levels, dtype=object)[index]
        result = pd.DataFrame(made)
        for mark in gone:
            number = mark.removesuffix(" is missing")
            result.loc[result[mark].astype(bool), number] = np.nan
        return result[list(train)]

    return Generator(sample)


def mixture(train: pd.DataFrame, seed: int) -> Generator:
    """Fit normal distributions with full covariances to the codec's matrix, levels one-hot; a tenth chooses how many.

    The level with the largest value is drawn. Scores of cells without one (frequent values) are standard normal noise.
    """
    rng = np.random.default_rng(seed)
    codec = TableCodec(sample_missing=True).fit(train)
    likelihood = codec.likelihood()
    likelihood.build(len(codec.outputs()))
    is_level = likelihood.level_columns().numpy() | ~likelihood.density_columns().numpy()
    matrix = codec.encode(train, noise_seed=seed)
    n_levels = [int(np.nanmax(column)) + 1 if level else 0 for column, level in zip(matrix.T, is_level, strict=True)]

    def expand(rows: Array) -> Array:
        blocks = []
        for column, n in zip(rows.T, n_levels, strict=True):
            if n:
                blocks.append((column[:, None] == np.arange(n)).astype(float))
            else:
                blocks.append(np.where(np.isnan(column), rng.standard_normal(len(column)), column)[:, None])
        return np.hstack(blocks)

    X = expand(matrix)
    held = np.arange(len(X)) % 10 == 0
    found: list[tuple[float, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for m in _COMPONENTS:
            if m > len(X) / 20 or (len(found) > 1 and found[-1][0] < found[-2][0]):
                break
            model = GaussianMixture(m, reg_covar=_RIDGE, random_state=seed).fit(X[~held])
            found.append((model.score(X[held]), m))
        model = GaussianMixture(max(found)[1], reg_covar=_RIDGE, random_state=seed).fit(X)

    def sample(n: int) -> pd.DataFrame:
        rows, columns, at = model.sample(n)[0], [], 0
        for width in n_levels:
            part = rows[:, at : at + max(width, 1)]
            columns.append(part.argmax(axis=1).astype(float) if width else part[:, 0])
            at += max(width, 1)
        return codec.decode(np.column_stack(columns)).sample(frac=1, random_state=seed).reset_index(drop=True)

    return Generator(sample, lambda rows: model.score_samples(expand(codec.encode(rows))))


def _of_ctgan(name: str) -> Callable[[pd.DataFrame, int], Generator]:
    def fit(train: pd.DataFrame, seed: int) -> Generator:
        model = getattr(importlib.import_module("ctgan"), name)(enable_gpu=False)
        discrete = [c for c in train if not is_number(train[c]) or train[c].nunique() <= _FEW]
        mean = {c: train[c].mean() for c in train if c not in discrete and train[c].isna().any()}  # it takes no holes
        model.set_random_state(seed)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            model.fit(train.fillna(mean), discrete)
        return Generator(lambda n: _like(train, model.sample(n)))

    return fit


def _like(train: pd.DataFrame, made: pd.DataFrame) -> pd.DataFrame:
    """Return a table with numbers where `train` has them, of as many decimals and in the same range, as SDV does."""
    columns = {}
    for name in train:
        if is_number(train[name]):
            seen = train[name].dropna()
            numbers = pd.to_numeric(made[name], errors="coerce").round(_decimals(seen.to_numpy(float)))
            columns[name] = numbers.clip(seen.min(), seen.max())
    return made.assign(**columns)


def _decimals(values: Array) -> int:
    return next(d for d in range(16) if d == 15 or np.allclose(values, values.round(d), rtol=1e-12, atol=0))


PEERS: dict[str, Callable[[pd.DataFrame, int], Generator]] = {
    "independent columns": independent,
    "Gaussian copula": copula,
    "mixture over the codec": mixture,
    "TVAE": _of_ctgan("TVAE"),
    "CTGAN": _of_ctgan("CTGAN"),
}
