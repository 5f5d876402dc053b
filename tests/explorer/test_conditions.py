"""Models that are conditioned on columns: what the page asks the server for, without a browser."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from explorer_clients import Client, owners, ready
from isthmus import ConditionalVAE
from isthmus.explorer import Explorer, export_page

CODES = [[0.5, -1.0], [1.5, 0.2]]
CHOSEN = {"kind": "bird", "chipped": "True", "age": 30, "born": "1960-02-03", "seen": "2024-05-06", "stay": "2.5"}
ROW = pd.DataFrame(
    {
        "kind": ["bird"],
        "chipped": [True],
        "age": [30],
        "born": [pd.Timestamp("1960-02-03")],
        "seen": ["06.05.2024"],
        "stay": [pd.Timedelta(days=2.5)],
    }
)


@pytest.fixture(scope="module")
def client(column_explorer):
    return Client(ready(column_explorer))


def test_each_column_is_a_field_that_starts_with_a_typical_value(client):
    found = client.call("model")[0]
    fields = {field.pop("name"): field for field in found["given"]}
    table = owners()[1]
    assert found["classes"] is None
    assert fields["kind"] == {"kind": "level", "levels": ["bird", "cat", "dog"], "start": table["kind"].mode()[0]}
    assert fields["chipped"] == {"kind": "level", "levels": ["False", "True"], "start": str(table["chipped"].mode()[0])}
    assert fields["age"] == {
        "kind": "number",
        "levels": [],
        "start": str(int(table["age"].quantile(interpolation="lower"))),
    }
    days = pd.to_datetime(table["seen"], format="%d.%m.%Y")
    assert fields["seen"]["start"] == str(days.quantile(interpolation="lower").date())
    assert [fields[name]["kind"] for name in ("born", "seen", "stay")] == ["date", "date", "days"]


def test_codes_are_decoded_given_the_columns(client, column_explorer):
    made = column_explorer.model.inverse_transform(np.array(CODES, np.float32), ROW)
    decoded = client.call("decode", {"codes": CODES, "condition": CHOSEN})
    assert decoded == column_explorer.rows.pack(made)
    assert decoded != client.call("decode", {"codes": CODES})
    start = {field["name"]: field["start"] for field in client.call("model")[0]["given"]}
    assert client.call("decode", {"codes": CODES}) == client.call("decode", {"codes": CODES, "condition": start})


def test_rows_are_drawn_given_the_columns(client, column_explorer):
    model = column_explorer.model
    expected = model.sample(
        5, given={**CHOSEN, "chipped": True, "seen": "06.05.2024", "stay": ROW["stay"][0]}, random_state=3
    )
    assert client.call("draw", {"n": 5, "seed": 3, "condition": CHOSEN}) == column_explorer.rows.pack(expected)


def test_a_row_is_inspected_given_its_own_columns(client, column_explorer):
    found = client.call("inspect", {"point": 4})[0]
    row, X, y = column_explorer.row_of(4)
    model, (_, table) = column_explorer.model, owners()
    assert (found["label"], found["condition"]["age"]) == (None, str(table["age"][row]))
    assert found["score"] == pytest.approx(float(model.score_samples(X, table[row : row + 1])[0]), abs=1e-5)
    assert found["reconstruction"] == column_explorer.rows.pack(model.reconstruct(X, table[row : row + 1]))[0]
    assert column_explorer.conditions.parse(found["condition"]).astype(y.dtypes).equals(y.reset_index(drop=True))


def test_paths_completions_and_own_rows_take_the_columns(client, column_explorer):
    path = client.call("path", {"start": 0, "stop": 1, "n": 3, "condition": CHOSEN})[0]
    assert client.call("decode", {"codes": path.pop("codes"), "condition": CHOSEN})[0] == path
    filled = {"code": CODES[0], "cleared": [1], "n": 3}
    assert client.call("complete", {**filled, "condition": CHOSEN}) != client.call("complete", filled)
    own = "weight,fee,day\n4.2,60,2024-03-04\n"
    placed = client.call("place", params={"name": "x.csv", "condition": json.dumps(CHOSEN)}, content=own)[0]
    code = column_explorer.model.transform(
        pd.DataFrame({"weight": [4.2], "fee": [60.0], "day": [pd.Timestamp("2024-03-04")]}), ROW
    )
    np.testing.assert_allclose(placed["codes"], code, atol=1e-6)
    looked = client.call("inspect", {"dropped": 0, "condition": CHOSEN})[0]
    assert (looked["code"], looked["score"]) == (placed["codes"][0], pytest.approx(placed["scores"][0]))
    assert looked["condition"] is None


def test_rows_of_a_file_are_given_the_columns_of_the_file(client, column_explorer):
    X, y = owners(3)
    file = pd.concat([X, y.drop(columns="chipped").assign(chipped=y["chipped"])], axis=1).to_csv(index=False)
    placed = client.call("place", params={"name": "x.csv", "condition": json.dumps(CHOSEN)}, content=file)[0]
    np.testing.assert_allclose(placed["codes"], column_explorer.model.transform(X, y), atol=1e-6)
    looked = client.call("inspect", {"dropped": 2, "condition": CHOSEN})[0]
    assert (looked["code"], looked["score"]) == (placed["codes"][2], pytest.approx(placed["scores"][2]))
    assert looked["condition"]["age"] == str(y["age"][2])
    wrong = file.replace(y["kind"][0], "fish")
    assert "'fish'" in client.refused("place", params={"name": "x.csv"}, content=wrong)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kind", "fish", "kind must be one of bird, cat, dog, and is 'fish'."),
        ("chipped", 1, "chipped must be one of False, True, and is '1'."),
        ("age", "old", "age must be a number, and is 'old'."),
        ("age", "", "age must be a number."),
        ("age", "1e999", "age must be a number, and is '1e999'."),
        ("seen", "06.05.2024", "seen must be a date such as 2024-03-31, and is '06.05.2024'."),
        ("stay", None, "stay must be a number, and is 'None'."),
    ],
)
def test_a_bad_value_is_named(client, name, value, message):
    asked = {"codes": CODES, "condition": {**CHOSEN, name: value}}
    assert client.refused("decode", asked) == message
    assert client.refused("draw", {"condition": asked["condition"]}) == message


@pytest.mark.parametrize("condition", [3, {"kind": "cat"}, {**CHOSEN, "height": 2}])
def test_each_column_must_be_given(client, condition):
    message = client.refused("decode", {"codes": CODES, "condition": condition})
    assert message == "condition: must have a value for each of kind, chipped, age, born, seen, stay, and no other."


def test_rows_are_coloured_and_found_by_the_columns(client, column_explorer):
    names = [colour["name"] for colour in client.call("model")[0]["colours"]]
    table = owners()[1]
    assert names[-6:] == [f"{name} (given)" for name in table]
    legend, index = client.call("colour", {"k": names.index("kind (given)")})
    kinds = table["kind"].iloc[column_explorer.order].tolist()
    assert [legend["names"][k] for k in index] == kinds
    assert client.call("colour", {"k": names.index("stay (given)")})[0]["names"][0].endswith(" days")
    found = client.call("find", {"text": "Bird"})[1]
    assert [bool(hit) for hit in found] == [kind == "bird" for kind in kinds]


@pytest.mark.parametrize("given", ["table", "classes"])
def test_units_are_ranked_given_conditions_of_rows(monkeypatch, given):
    rng = np.random.default_rng(0)
    X, levels = rng.normal(size=(9, 3)), np.array(["a", "b", "b"] * 3)
    y = pd.DataFrame({"level": levels}) if given == "table" else levels
    model = ConditionalVAE(2, max_epochs=1, likelihood="gaussian", random_state=0).fit(X, y)
    decode, seen = model.model_.decode, []
    monkeypatch.setattr(model.model_, "decode", lambda z, c: seen.append(c) or decode(z, c))
    explorer = Explorer(model, X, y)
    explorer.finish_codes()
    own = (levels[explorer._first, None] == ["a", "b"]).repeat(4, axis=0)  # two units, in two directions
    np.testing.assert_array_equal(seen[0], own)
    alone = Explorer(model)
    seen.clear()
    alone.finish_codes()
    np.testing.assert_array_equal(seen[0], [[0, 1]] * 4)  # the most frequent level


def test_columns_of_numbers_without_names():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 2))
    X = y @ rng.normal(size=(2, 3)) + rng.normal(size=(60, 3))
    model = ConditionalVAE(2, max_epochs=3, random_state=0).fit(X, y)
    explorer = Explorer(model, X, y)
    explorer.prepare()
    assert [field["name"] for field in explorer.describe()["given"]] == ["column 0", "column 1"]
    assert explorer.describe()["given"][1]["start"] == f"{np.sort(y[:, 1])[29]:.10g}"
    decoded = explorer.decode(CODES, {"column 0": 1.5, "column 1": "-2"})
    assert decoded == explorer.rows.pack(model.inverse_transform(np.array(CODES, np.float32), np.array([[1.5, -2.0]])))


def test_without_data_columns_start_at_the_mean_of_the_training_data(column_explorer):
    explorer = Explorer(column_explorer.model)
    explorer.prepare()
    start = explorer.conditions.start
    given = owners()[1]
    assert start["chipped"] == str(given["chipped"].mode()[0])  # of three levels or more, it is no typical one
    assert float(start["age"]) == pytest.approx(given["age"].median(), abs=3)
    assert len(explorer.decode(CODES)[0]["text"]) == 2  # of two codes


def test_columns_of_one_value_and_columns_that_are_left_out():
    X, y = owners(60)
    y = y[["age"]].assign(country="DE", name=[f"name {k}" for k in range(60)])
    with pytest.warns(UserWarning, match="'name'"):
        model = ConditionalVAE(1, max_epochs=1, random_state=0).fit(X, y)
    explorer = Explorer(model, X, y)
    fields = {field["name"]: field["levels"] for field in explorer.conditions.describe()["given"]}
    assert fields == {"age": [], "country": ["DE"]}
    decoded = explorer.decode([[0.3]], {"age": 40, "country": "DE"})
    assert decoded == explorer.rows.pack(
        model.inverse_transform(np.array([[0.3]], np.float32), y.iloc[:1].assign(age=40))
    )


def test_an_exported_page_is_decoded_given_the_start_values(column_explorer):
    page = export_page(column_explorer)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert "given kind cat, chipped True, age 54, born " in page
    first = column_explorer.codes.mean(axis=0)
    first[column_explorer.importance[:2]] = [low for low, _ in data["limits"]]
    assert data["cells"]["text"][0] == column_explorer.decode([first], column_explorer.conditions.start)[0]["text"][0]
