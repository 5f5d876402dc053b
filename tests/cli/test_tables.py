"""Tables with other columns than numbers, from file to file: the same columns, order, format and decimals."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import isthmus
import isthmus.likelihoods
from data_files import needs_pyarrow
from isthmus.cli import main
from isthmus.data import read, write_frame

# The command prints these warnings as notes.
LEFT_OUT, UNSEEN = "Left out of the model", "column 'sex' has the level 'x'"
pytestmark = [
    needs_pyarrow,
    pytest.mark.filterwarnings(f"default:{LEFT_OUT}"),
    pytest.mark.filterwarnings(f"default:{UNSEEN}"),
]
N = 120
QUICK = ["--epochs", "2", "--set", "hidden_layer_sizes=8", "-k", "2", "-q"]


def people(missing=0.2):
    """Return a table, with a share of the cells of some columns missing."""
    r = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "who": [f"p{i:03d}" for i in range(N)],
            "sex": r.choice(["f", "m"], N),
            "age": pd.array(r.integers(18, 80, N), dtype="Int64"),
            "height": r.normal(170, 8, N).round(1),
            "born": r.choice(pd.date_range("1950-01-01", periods=300).strftime("%Y-%m-%d"), N),
            "smokes": r.random(N) < 0.3,
        }
    )
    for name in ("sex", "age", "height", "born"):
        frame.loc[r.random(N) < missing, name] = None
    return frame


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with one table in several files, and models of it, which the tests only read."""
    folder = tmp_path_factory.mktemp("home")
    frame = people()
    frame.to_csv(folder / "people.csv", index=False)
    frame.to_csv(folder / "german.csv", index=False, sep=";", decimal=",")
    frame.to_csv(folder / "index.csv")
    for suffix in (".parquet", ".feather", ".jsonl", ".xlsx"):
        write_frame(folder / f"people{suffix}", frame)
    frame.select_dtypes("number").to_csv(folder / "numbers.csv", index=False)
    for name, data in (("table", "people.csv"), ("numbers", "numbers.csv"), ("typed", "people.parquet")):
        with warnings.catch_warnings():
            warnings.filterwarnings("default", LEFT_OUT)
            assert main(["fit", str(folder / data), "-o", str(folder / f"{name}.safetensors"), *QUICK]) == 0
    return folder


@pytest.fixture
def there(home, tmp_path, monkeypatch):
    """The working directory of one test, with links to everything in `home`."""
    for file in home.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(path):
    return Path(path).read_text(encoding="utf-8").splitlines()


# ---- what comes out --------------------------------------------------------------------------------------------------


def test_fit_takes_a_table_with_no_option(there, run):
    code, out, err = run("fit", "people.csv", "-o", "m.safetensors", *QUICK[:-1])
    assert code == 0
    assert out.startswith("m.safetensors: VAE, 6 columns -> 2 units, fitted to 120 rows")
    assert "column 'who' has 120 different values" in err
    model = isthmus.load("m.safetensors")
    scores = isthmus.load("table.safetensors").score_samples(people())
    np.testing.assert_array_equal(model.score_samples(people()), scores)


@pytest.mark.parametrize("name", ["people.csv", "german.csv", "index.csv"])
def test_impute_changes_nothing_but_missing_cells(there, run, name):
    code, _, err = run("impute", "table.safetensors", name, "-o", "filled.csv")
    assert (code, "wrote filled.csv: 120 x 6 table" in err) == (0, True)
    separator = ";" if name == "german.csv" else ","
    old, new = ([line.split(separator) for line in lines(file)] for file in (name, "filled.csv"))
    assert len(old) == len(new)
    changed = [(a, b) for row, other in zip(old, new, strict=True) for a, b in zip(row, other, strict=True) if a != b]
    assert {a for a, _ in changed} == {""}
    assert len(changed) == people().isna().to_numpy().sum()
    filled = read("filled.csv").X
    assert not filled.isna().any().any()
    assert filled["age"].dtype == np.int64
    assert (filled["height"].round(1) == filled["height"]).all()


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".jsonl", ".xlsx"])
def test_impute_keeps_types(there, run, suffix):
    assert run("impute", "table.safetensors", f"people{suffix}", "-o", f"filled{suffix}")[0] == 0
    old, new = read(f"people{suffix}").X, read(f"filled{suffix}").X
    assert list(old.columns) == list(new.columns)
    assert new.dtypes.drop("age").equals(old.dtypes.drop("age"))
    assert new["age"].dtype.kind == "i"
    for name in old:
        assert new[name][old[name].notna()].tolist() == old[name].dropna().tolist()


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_sample_has_the_columns_and_kinds_of_the_data(there, run, suffix):
    assert run("sample", "table.safetensors", "-n", "50", "-o", f"new{suffix}")[0] == 0
    new = read(f"new{suffix}").X
    assert list(new.columns) == list(people().columns)
    assert set(new["sex"]) <= {"f", "m"}
    assert (new["height"].round(1) == new["height"]).all()
    assert new["age"].dtype.kind == "i"
    assert pd.to_datetime(new["born"], format="%Y-%m-%d").between("1950-01-01", "1950-12-31").all()
    assert new["who"].isna().all()


def test_sample_with_given_values(there, run):
    args = ["sample", "table.safetensors", "-n", "30", "-o", "new.csv"]
    given = ["--given", "sex=m", "--given", "age=30", "--given", "smokes=True", "--given", "born=1950-03-01"]
    code, _, err = run(*args, *given)
    assert (code, "effective draws" in err) == (0, True)
    new = read("new.csv").X
    assert new[["sex", "age", "smokes", "born"]].drop_duplicates().to_numpy().tolist() == [
        ["m", 30, True, "1950-03-01"]
    ]
    assert new["height"].nunique() > 1
    assert run("sample", "numbers.safetensors", "-n", "5", "--given", "height=171.5", "-o", "n.csv")[0] == 0
    assert (read("n.csv").X[:, 1] == 171.5).all()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["sex"], "must be NAME=VALUE"),
        (["heigth=3"], "the model has no such column. Did you mean 'height'?"),
        (["sex=m", "sex=f"], "is given twice"),
        (["age=old"], "--given age=old: the column has numbers."),
        (["sex=x"], "column 'sex' has the level 'x', which the training data did not have"),
        (["who=p1"], "nothing was learned"),
        (["born=tomorrow"], "born"),
    ],
)
def test_wrong_given_values(there, run, given, expected):
    options = [option for text in given for option in ("--given", text)]
    code, out, err = run("sample", "table.safetensors", *options, "-o", "new.csv")
    assert (code, out) == (2, "")
    assert expected in err
    assert not Path("new.csv").exists()


def test_reconstruct_has_the_form_of_the_file(there, run):
    assert run("reconstruct", "table.safetensors", "german.csv", "-o", "r.csv")[0] == 0
    assert lines("r.csv")[0] == "who;sex;age;height;born;smokes"
    assert "," in lines("r.csv")[1].split(";")[3]
    assert run("reconstruct", "table.safetensors", "index.csv", "-o", "i.csv")[0] == 0
    assert [line.split(",")[0] for line in lines("i.csv")] == ["", *map(str, range(N))]


def test_transform_and_score(there, run):
    frame, model = read("people.csv").X, isthmus.load("table.safetensors")
    assert run("transform", "table.safetensors", "people.csv", "-o", "z.csv")[0] == 0
    assert read("z.csv").columns == ("vae0", "vae1")
    np.testing.assert_array_equal(read("z.csv").X, model.transform(frame))
    result = json.loads(run("score", "table.safetensors", "people.csv", "--json", "-o", "p.npy")[1])
    np.testing.assert_array_equal(np.load("p.npy"), model.score_samples(frame))
    assert result["mean"] == pytest.approx(np.load("p.npy").mean())
    assert result["elbo"] == pytest.approx(model.elbo(frame).elbo.mean())


@pytest.mark.parametrize("name", ["german.csv", "index.csv", "people.parquet", "people.jsonl", "people.xlsx"])
@pytest.mark.parametrize("model", ["table", "typed"])
def test_the_same_table_in_any_file_has_the_same_scores(there, run, name, model):
    run("score", f"{model}.safetensors", "people.csv", "-o", "a.npy")
    assert run("score", f"{model}.safetensors", name, "-o", "b.npy")[0] == 0
    np.testing.assert_allclose(np.load("a.npy"), np.load("b.npy"), rtol=1e-6)


def test_a_file_by_its_name_is_the_table_in_python(there):
    model = isthmus.load("table.safetensors")
    np.testing.assert_array_equal(model.score_samples("people.csv"), model.score_samples(people()))
    assert not model.impute("people.csv").isna().any().any()
    pd.testing.assert_frame_equal(model.reconstruct("people.csv"), model.reconstruct(read("people.csv").X))


# ---- columns in another order, missing, or of another kind ----------------------------------------------------------


def test_columns_in_another_order_keep_theirs(there, run):
    frame = people()[["smokes", "height", "who", "age", "born", "sex"]].assign(extra="x")
    frame.to_csv("other.csv", index=False)
    code, _, err = run("impute", "table.safetensors", "other.csv", "-o", "filled.csv")
    assert (code, "other.csv: ignored columns that the model was not fitted on: extra" in err) == (0, True)
    assert lines("filled.csv")[0] == "smokes,height,who,age,born,sex"
    run("score", "table.safetensors", "people.csv", "-o", "a.npy")
    run("score", "table.safetensors", "other.csv", "-o", "b.npy")
    np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))


def test_a_model_of_numbers_leaves_out_texts(there, run):
    run("score", "numbers.safetensors", "numbers.csv", "-o", "a.npy")
    code, _, err = run("score", "numbers.safetensors", "people.csv", "-o", "b.npy")
    assert code == 0
    assert "ignored columns that the model was not fitted on: who, sex, born, smokes" in err
    np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))


def test_texts_that_look_like_numbers_are_read_as_in_training(there, run):
    r = np.random.default_rng(1)
    codes = r.choice(["01", "2", "30"], N)
    pd.DataFrame({"code": codes, "x": r.normal(size=N).round(3)}).to_csv("codes.csv", index=False)
    assert run("fit", "codes.csv", "-o", "m.safetensors", *QUICK)[0] == 0
    Path("new.csv").write_text("code,x\n2,0.5\n30,\n")
    code, _, err = run("impute", "m.safetensors", "new.csv", "-o", "filled.csv")
    assert (code, "warning" in err) == (0, False)
    assert lines("filled.csv")[1] == "2,0.5"
    assert len(lines("filled.csv")[2].split(".")[1]) == 1


def test_cells_that_are_written_otherwise_are_those_of_training(there, run):
    frame = people(0)
    frame.to_csv("a.csv", index=False)
    frame["age"] = frame["age"].map("{:03d}".format)
    frame["smokes"] = frame["smokes"].map({True: "TRUE", False: "FALSE"})
    frame["height"] = frame["height"].map("{:.1f} %".format)
    frame.to_csv("b.csv", index=False)
    run("score", "table.safetensors", "a.csv", "-o", "a.npy")
    code, _, err = run("score", "table.safetensors", "b.csv", "-o", "b.npy")
    assert (code, "warning" in err) == (0, False)
    np.testing.assert_array_equal(np.load("a.npy"), np.load("b.npy"))


BAD = {
    "columns that are missing": (
        "sex,height\nf,170\n",
        "bad.csv: has no column 'who', 'age', 'born', 'smokes' (4 of the 6 columns of the model are missing)",
    ),
    "text in columns of numbers": (
        "who,sex,age,height,born,smokes\na,f,20,170,1950-01-01,True\nb,f,old,tall,1950-01-01,True\n",
        "column 'age' has 'old' in line 3; column 'height' has 'tall' in line 3, where the model has numbers",
    ),
    "a date that is none": (
        "who,sex,age,height,born,smokes\na,f,20,170,1950-01-01,True\nb,f,30,180,1950-13-01,True\n",
        "bad.csv: column 'born' has '1950-13-01' in line 3, not a date such as 2024-03-31: correct it",
    ),
    "ragged": ("who,sex\na,f\nb\n", "bad.csv: line 3 has 1 cell"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_writes_nothing(there, run, case):
    text, expected = BAD[case]
    Path("bad.csv").write_text(text)
    before = sorted(there.iterdir())
    code, out, err = run("impute", "table.safetensors", "bad.csv", "-o", "new.csv")
    assert (code, out) == (2, "")
    assert expected in err.splitlines()[-1]
    assert sorted(there.iterdir()) == before


def test_dates_that_do_not_parse_are_named_by_line(there, run):
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=N), "s": ["a", "b"] * (N // 2)})
    frame.to_parquet("t.parquet")
    assert run("fit", "t.parquet", "-o", "m.safetensors", *QUICK)[0] == 0
    frame.to_csv("t.csv", index=False)
    assert run("score", "m.safetensors", "t.csv")[0] == 0
    Path("bad.csv").write_text("t,s\n2024-01-01,a\n31/31/2024,b\n")
    code, _, err = run("score", "m.safetensors", "bad.csv")
    assert (code, "column 't' has '31/31/2024' in line 3, not a date such as 2024-03-31" in err) == (2, True)


def test_texts_for_a_model_of_numbers_are_named_at_once(there, run):
    Path("bad.csv").write_text("age,height\nold,tall\nyoung,small\n")
    code, _, err = run("score", "numbers.safetensors", "bad.csv")
    assert code == 2
    assert "2 columns hold something else: 'age', 'height' (such as 'old' in line 2)" in err


def test_files_that_cannot_hold_a_table_are_refused_before_the_work(there, run):
    code, _, err = run("impute", "table.safetensors", "people.csv", "-o", "new.npy")
    assert (code, "new.npy: cannot hold columns of text or dates ('who', 'sex', 'born')" in err) == (2, True)
    code, _, err = run("sample", "table.safetensors", "-n", "2", "-o", "new.npz")
    assert (code, "write .csv or .parquet" in err) == (2, True)


def test_a_level_that_is_new_counts_as_missing(there, run):
    text = "\n".join([lines("people.csv")[0], "a,x,30,170.0,1950-01-01,True"])
    Path("new.csv").write_text(text)
    code, _, err = run("score", "table.safetensors", "new.csv")
    assert code == 0
    assert err.count("column 'sex' has the level 'x', which the training data did not have") == 1


# ---- info and labels -------------------------------------------------------------------------------------------


def test_info_shows_how_columns_would_be_encoded(there, run):
    code, out, err = run("info", "people.csv")
    assert code == 0
    assert "120 x 6, a table" in out
    assert [line.split()[0] for line in out.splitlines()[-6:]] == list(people().columns)
    assert "decimal" in run("info", "german.csv")[2]
    assert "missing" in run("info", "people.parquet")[1]
    assert "Left out of the model" in err


def test_info_of_a_model_of_a_table(there, run):
    out = run("info", "table.safetensors")[1]
    assert "6, as 5 numbers -> 2 units" in " ".join(out.split())
    assert "who, sex, age, height, born, smokes" in out


def test_labels_may_be_a_column_of_a_table(there, run):
    people(0).drop(columns=["who"]).to_csv("full.csv", index=False)
    args = ["fit", "full.csv", "-m", "cvae", "--y", "sex", "-o", "c.safetensors", *QUICK]
    assert run(*args)[0] == 0
    model = isthmus.load("c.safetensors")
    assert model.classes_.tolist() == ["f", "m"]
    assert run("impute", "c.safetensors", "full.csv", "--y", "sex", "-o", "filled.csv")[0] == 0
    assert lines("filled.csv")[0] == "age,height,born,smokes"
    code, _, err = run("fit", "people.csv", "-m", "cvae", "--y", "sex", "-o", "d.safetensors", *QUICK)
    assert (code, "people.csv: column 'sex' has no label in row" in err) == (2, True)


# ---- outliers, impute without a model, score by column ---------------------------------------------------------------


@pytest.fixture
def odd(there):
    """A table with one odd row."""
    frame = people(0)
    frame.loc[7, "height"] = 25.0
    frame.to_csv(there / "odd.csv", index=False)
    return there


def test_outliers_of_a_file(odd, run):
    code, out, err = run("outliers", "odd.csv", "--explain", "--rate", "0.1", "-o", "scored.csv")
    assert code == 0
    head, first, *_ = out.splitlines()
    assert "of 120 rows are outliers, at a false-alarm rate of 0.1" in head
    assert first.split()[:2] == ["row", "7"]
    assert "height is 25, expected about" in first
    assert "Left out of the model" in err
    table = read("scored.csv").X
    assert list(table.columns) == ["log_p", "p_value", "outlier", "explanation"]
    assert table["log_p"].idxmin() == 7
    assert table["explanation"][7].startswith("height is 25")
    assert table["explanation"].notna()[table["outlier"]].all()
    assert (table["outlier"] == (table["p_value"] <= 0.1)).all()


def test_a_saved_detector_has_its_threshold(odd, run):
    code, first, err = run("outliers", "odd.csv", "--rate", "0.2", "--save", "d.safetensors")
    assert (code, "wrote d.safetensors" in err) == (0, True)
    code, again, err = run("outliers", "d.safetensors", "odd.csv")
    assert (code, again, "threshold" in err) == (0, first, False)
    out = run("info", "d.safetensors")[1]
    assert "AutoencoderOutlierDetector(contamination='auto', false_alarm_rate=0.2" in out
    assert "a meta-estimator, format" in out
    assert run("score", "d.safetensors", "odd.csv")[0] == 0
    assert run("impute", "d.safetensors", "people.csv", "-o", "filled.csv")[0] == 0
    code, _, err = run("outliers", "odd.csv", "--save", "d.csv")
    assert (code, "must end in .safetensors" in err) == (2, True)


def test_outliers_by_a_model(odd, run):
    code, out, err = run("outliers", "table.safetensors", "odd.csv", "--normal", "people.csv", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["rows"] == N
    assert found["outliers"][0]["row"] == 7
    assert found["outliers"][0]["p_value"] == pytest.approx(1 / (N + 1))
    model = isthmus.load("table.safetensors")
    assert found["outliers"][0]["log_p"] == pytest.approx(model.score_samples(read("odd.csv").X)[7])
    err = run("outliers", "table.safetensors", "odd.csv", "--rate", "0.1")[2]
    assert "the threshold is set by odd.csv itself: about 10% of its rows" in err


def test_outliers_among_numbers(there, run):
    X = np.random.default_rng(0).normal(size=(80, 3))
    X[5, 1] = 30.0
    pd.DataFrame(X, columns=["a", "b", "c"]).to_csv("x.csv", index=False)
    np.save("x.npy", X)
    named, unnamed = (run("outliers", name, "--explain")[1].splitlines()[1] for name in ("x.csv", "x.npy"))
    assert "b is 30, expected about" in named
    assert "column 1 is 30, expected about" in unnamed
    assert run("outliers", "x.npy", "-o", "p.npy")[0] == 0
    assert np.load("p.npy").shape == (80, 3)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["outliers", "a", "b", "c"], "outliers takes DATA, or MODEL and DATA; got a b c."),
        (["outliers", "table.safetensors"], "table.safetensors: is a model; pass DATA, too."),
        (["outliers", "people.csv", "--normal", "people.csv"], "is for a fitted MODEL"),
        (["outliers", "people.csv", "--rate", "1"], "1.0 is not in the range"),
        (["outliers", "people.csv", "-o", "people.csv"], "would replace people.csv"),
        (["evaluate", "vae", "people.csv", "--sizes", "2,3"], "people.csv: --sizes compares models of numbers"),
        (["impute", "people.csv", "-o", "new.npy"], "cannot hold columns of text"),
        (["impute", "people.csv", "--y", "sex", "-o", "new.csv"], "is for a fitted conditional_vae"),
    ],
)
def test_wrong_arguments(there, run, args, expected):
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert expected in err


def test_impute_fits_a_model_if_there_is_none(there, run, monkeypatch):
    plain = isthmus.VAE
    monkeypatch.setattr("isthmus.VAE", lambda **given: plain(2, max_epochs=2, **given), raising=False)
    code, _, err = run("impute", "german.csv", "-o", "filled.csv")
    assert (code, "wrote filled.csv: 120 x 6 table" in err) == (0, True)
    assert lines("filled.csv")[0] == lines("german.csv")[0]
    assert not read("filled.csv").X.isna().any().any()


def test_whole_numbers_of_a_table_of_numbers_are_filled_in_as_they_are_written(there, run):
    code, _, err = run("impute", "numbers.safetensors", "numbers.csv", "-o", "filled.csv")
    assert (code, "wrote filled.csv: 120 x 2 table" in err) == (0, True)
    for old, new in zip(lines("numbers.csv")[1:], lines("filled.csv")[1:], strict=True):
        for before, after, decimals in zip(old.split(","), new.split(","), (0, 1), strict=True):
            assert before in ("", after)
            assert len(after.partition(".")[2]) == decimals


def test_samples_of_a_file_of_numbers_have_whole_numbers(there, run):
    assert run("sample", "numbers.safetensors", "-n", "20", "-o", "new.csv")[0] == 0
    header, *rows = lines("new.csv")
    assert header == "age,height"
    assert all(row.split(",")[0].isdecimal() and "." in row.split(",")[1] for row in rows)


def test_score_by_column(there, run):
    model, frame = isthmus.load("table.safetensors"), read("people.csv").X
    code, out, _ = run("score", "table.safetensors", "people.csv", "--by-column")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:]] == list(frame.columns)
    assert "left out of the model" in out.splitlines()[2]
    result = json.loads(run("score", "table.safetensors", "people.csv", "--by-column", "--json", "-o", "c.csv")[1])
    scores = model.score_features(frame)
    assert result["columns"]["who"] is None
    for name in ("sex", "height", "smokes"):
        assert result["columns"][name] == pytest.approx(scores[name].mean(), rel=1e-5)
    np.testing.assert_allclose(read("c.csv").X, scores)


def test_score_by_column_of_numbers_at_their_code(there, run):
    assert run("fit", "numbers.csv", "-m", "autoencoder", "-o", "a.safetensors", *QUICK)[0] == 0
    code, out, _ = run("score", "a.safetensors", "numbers.csv", "--by-column")
    assert code == 0
    assert out.startswith("log p(x_d | code), nats per cell")
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["age", "height"]


def test_what_is_inferred_can_be_set(there, run):
    codec = 'scaling={part="table_codec", kinds={who="left out", born="category"}, sample_missing=true}'
    likelihood = 'likelihood={age="student_t", height={part="gaussian", scale=2.0}}'
    assert run("fit", "people.csv", "-o", "m.safetensors", *QUICK, "--set", codec, "--set", likelihood)[0] == 0
    model = isthmus.load("m.safetensors")
    kinds = {column.name: (column.kind, column.likelihoods()) for column in model._codec.columns}
    assert kinds["born"][0] == "category"
    assert kinds["age"][1] == ("student_t",)
    assert kinds["height"][1] == (isthmus.likelihoods.Gaussian(scale=2.0),)
    assert run("sample", "m.safetensors", "-n", "50", "-o", "new.csv")[0] == 0
    assert 0 < read("new.csv").X["sex"].isna().sum() < 50
    code, _, err = run("fit", "people.csv", "-o", "m.safetensors", *QUICK, "--set", 'likelihood={ages="student_t"}')
    assert (code, "names the column 'ages', which X does not have" in err) == (2, True)
    assert "unseen : " in run("info", "table_codec")[1]


def test_evaluate_a_model_of_a_table(there, run):
    code, out, _ = run("evaluate", "table.safetensors", "people.csv", "--n-draws", "5", "--json")
    assert code == 0
    assert json.loads(out)


def test_several_columns_may_be_conditions(there, run):
    people(0).drop(columns=["who"]).to_csv("full.csv", index=False)
    assert run("fit", "full.csv", "-m", "cvae", "--y", "sex,age", "-o", "c.safetensors", *QUICK)[0] == 0
    assert run("sample", "c.safetensors", "-n", "4", "--given", "sex=f", "--given", "age=30", "-o", "new.csv")[0] == 0
    assert lines("new.csv")[0] == "height,born,smokes"
    assert len(lines("new.csv")) == 5
    code, _, err = run("transform", "c.safetensors", "full.csv", "--y", "sex,age", "-o", "z.npy")
    assert (code, "ignored columns" in err) == (0, False)
    code, _, err = run("sample", "c.safetensors", "-n", "4", "--given", "sex=f", "-o", "new.csv")
    assert (code, "given lacks 'age'" in err) == (2, True)
    code, _, err = run("sample", "c.safetensors", "--given", "height=3", "-o", "new.csv")
    assert (code, "the model has no such column" in err) == (2, True)
    code, _, err = run("sample", "c.safetensors", "--given", "sex=f", "--y", "f", "-o", "new.csv")
    assert (code, "both name conditions" in err) == (2, True)
