"""Model files whose table is like none that was fitted: refused, as any other description is."""

import numpy as np
import pandas as pd
import pytest

from hostile import changed, refusal
from isthmus import VAE, load
from isthmus.tables import TableCodec

NAMES = ["number", "levels", "time", "span", "one"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    r = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "number": r.lognormal(size=60),
            "levels": pd.Categorical(pd.cut(r.normal(size=60), 3)),
            "time": pd.Timestamp("2024-01-01") + pd.to_timedelta(r.integers(0, 99, 60), unit="D"),
            "span": pd.to_timedelta(r.integers(0, 99, 60), unit="h"),
            "one": "x",
        }
    )
    path = tmp_path_factory.mktemp("saved") / "m.safetensors"
    VAE(2, max_epochs=1, random_state=0, hidden_layer_sizes=(4,)).fit(table).save(path)
    load(path)
    return path.read_bytes()


def column(which, **params):
    def change(description, tensors):
        columns = description["table"]["codec"]["params"]["columns"]
        columns[NAMES.index(which)]["params"].update(params)

    return change


def codec(**params):
    return lambda description, tensors: description["table"]["codec"]["params"].update(params)


def table(**values):
    return lambda description, tensors: description["table"].update(values)


def part_of_time(**params):
    return lambda d, t: d["table"]["codec"]["params"]["columns"][2]["params"]["parts"][0]["params"].update(params)


def twice(description, tensors):
    columns = description["table"]["codec"]["params"]["columns"]
    columns[1]["params"]["name"] = columns[0]["params"]["name"]


HOSTILE = {
    "no codec": table(codec={"part": "Gaussian", "params": {}}),
    "not a dict": lambda description, tensors: description.update(table=[1]),
    "no flag": table(encodes=1),
    "without columns": codec(columns=None),
    "empty": codec(columns=[]),
    "columns of another kind": codec(columns=[{"part": "Gaussian", "params": {}}] * 5),
    "categories as numbers": table(encodes=False),
    "other width": column("number", spikes=[2.0]),
    "library": codec(frame={"part": "Frame", "params": {"library": "os", "names": []}}),
    "two of a name": twice,
    "other names": column("number", name="other"),
    "a list as a name": column("number", name={"list": []}),
    "many decimals": column("number", decimals=10**9),
    "no step": column("number", step=-1.0),
    "falling knots": column("number", knots=[[1.0, 0.0], [0.0, 1.0]]),
    "one knot": column("number", knots=[[1.0], [1.0]]),
    "knots that are not finite": column("number", knots=[[1.0, {"float": "nan"}], [0.0, 1.0]]),
    "range": column("number", low=2.0, high=1.0),
    "text as a number": column("number", origin="x"),
    "a dtype of anything": column("number", dtype="a\nb"),
    "missing": column("number", missing=3.0),
    "no levels": column("levels", values=[]),
    "levels of no type": column("levels", values=[["eval", "1"], 2, 3]),
    "an interval of texts": column("levels", values=[["interval", "a", 1, "right"], 2, 3]),
    "policy": column("levels", unseen="run"),
    "elements": column("time", elements=["__import__"]),
    "no elements": column("time", elements=[], parts=[]),
    "resolution": column("time", resolution=0),
    "a long format": column("time", text_format="%Y" * 100),
    "limits": column("time", low=10**30),
    "an element that is not valid": part_of_time(step=0.0),
    "no days": column("span", days=None),
    "a constant of another form": column("one", form="times"),
    "a huge constant": column("one", form="times", value=10**30),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_like_none_that_was_fitted_is_refused(saved, tmp_path, name):
    path = tmp_path / "m.safetensors"
    path.write_bytes(saved)
    changed(path, HOSTILE[name])
    refusal(path)


def test_the_file_itself_is_read(saved, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(saved)
    changed(path, lambda description, tensors: None)
    assert isinstance(load(path)._table, TableCodec)
