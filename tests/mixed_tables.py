"""Tables for tests: one with a column of every dtype, in every form."""

import datetime
import decimal

import numpy as np
import pandas as pd

N = 300


def every_dtype(missing=0.1, n=N):
    """Return a pandas DataFrame with a column of every dtype; a share of the cells of nullable ones is missing."""
    r = np.random.default_rng(0)
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(int(k)) for k in r.integers(0, 900, n)]
    table = pd.DataFrame(
        {
            "float64": r.lognormal(size=n).round(3),
            "float32": r.normal(size=n).round(2).astype("float32"),
            "float16": r.integers(0, 200, n).astype("float16"),
            "int64": r.poisson(30, n),
            "int8": r.integers(0, 5, n).astype("int8"),
            "uint64": r.integers(0, 2**31, n).astype("uint64"),
            "inflated": np.where(r.random(n) < 0.5, 0, r.lognormal(3, 1, n)).round(2),
            "bool": r.random(n) < 0.3,
            "boolean": pd.array(r.random(n) < 0.3, dtype="boolean"),
            "Int64": pd.array(r.poisson(30, n), dtype="Int64"),
            "Float64": pd.array(r.normal(size=n).round(1), dtype="Float64"),
            "str": r.choice(["a", "b", "c"], n),
            "string": pd.array(r.choice(["a", "b", "c"], n), dtype="string"),
            "texts": pd.Series(r.choice(["a", "b"], n), dtype=object),
            "ordered": pd.Categorical(r.choice(["lo", "hi"], n), categories=["lo", "mid", "hi"], ordered=True),
            "datetime": pd.date_range("2020-01-01", periods=n),
            "zone": pd.date_range("2020-01-01", periods=n, freq="h", tz="Europe/Berlin"),
            "date": days,
            "date_text": [str(day) for day in r.permutation(days)],
            "timedelta": pd.to_timedelta(r.integers(0, 10_000, n), unit="s"),
            "decimal": [decimal.Decimal(int(k)).scaleb(-2) for k in r.integers(0, 100_000, n)],
            "arrow": pd.array(r.poisson(30, n), dtype="int64[pyarrow]"),
            "constant": 5.0,
            "one_text": "x",
        }
    )
    nullable = ["float64", "boolean", "Int64", "Float64", "str", "string", "texts", "ordered", "datetime", "zone"]
    nullable += ["date", "date_text", "timedelta", "decimal", "arrow", "inflated"]
    for name in nullable:
        table.loc[r.random(n) < missing, name] = None
    return table


def only_pandas(n=N):
    """Return columns that only pandas has: intervals, mixed types, numbers as objects."""
    r = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "interval": pd.cut(r.normal(size=n), 4),
            "mixed": pd.Series([["a", 1, 2.5][k] for k in r.integers(0, 3, n)], dtype=object),
            "with_na": pd.Series([[1, pd.NA, 3][k % 3] for k in range(n)], dtype=object),
            "day_category": pd.Categorical(r.choice(pd.date_range("2020-01-01", periods=3), n)),
            "zoned": pd.Series([pd.Timestamp("2020-01-01", tz="Asia/Tokyo") + pd.Timedelta(k, "D") for k in range(n)]),
        }
    )
