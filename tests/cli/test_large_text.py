"""Tables of text that are larger than memory: every command gives what it gives for the table in memory."""

import json

import numpy as np
import pandas as pd
import pytest

from data_files import needs_pyarrow
from isthmus import VAE, AutoencoderOutlierDetector, load
from isthmus.cli import main
from isthmus.data import RowSource, TableBlocks, open_rows, read, reading, resolve
from isthmus.data.formats import _text_cells
from isthmus.data.formats._text_columns import TextColumn
from isthmus.data.formats._text_style import NumberStyle
from isthmus.data.formats._text_values import convert, observed_cells
from isthmus.estimators import _chunking, _table_stream

pytestmark = needs_pyarrow
N = 900
SMALL = {"hidden_layer_sizes": 8, "max_epochs": 2, "random_state": 0, "n_draws": 20}


def table():
    r = np.random.default_rng(0)
    price = [f"${x:,.2f}" for x in r.lognormal(6, 2, N)]
    frame = pd.DataFrame(
        {
            "sex": r.choice(["f", "m"], N),
            "age": r.integers(18, 80, N).astype(str),
            "zip": [f"{x:05d}" for x in r.choice([1234, 33333, 98765], N)],
            "height": [f"{x:.1f}" for x in r.normal(170, 8, N)],
            "price": price,
            "rooms": r.choice(["1", "2", "3"], N),
            "ok": r.choice(["True", "False"], N),
            "note": "",
        }
    )
    frame.loc[r.random(N) < 0.2, "sex"] = ""
    frame.loc[300:600, "age"] = "unknown"  # most cells of a block, not most of the column
    frame.loc[r.random(N) < 0.2, "height"] = "NA"
    frame.loc[r.random(N) < 0.2, ["price", "rooms"]] = ""
    frame.loc[N - 1, "height"] = "171.25"  # of which no earlier block knows
    return frame


@pytest.fixture
def path(tmp_path):
    table().to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


@pytest.fixture
def stream(monkeypatch):
    """A function that makes tables of text stream from then on, in blocks of about 60 rows."""

    def start():
        monkeypatch.setattr(reading, "STREAM_ABOVE", 1000)
        monkeypatch.setattr(_text_cells, "_BLOCK", 4096)
        monkeypatch.setattr(_text_cells, "_ROWS", 60)

    return start


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(_chunking, "_CHUNK", 1 << 15)


def run(*words):
    assert main([str(word) for word in words]) == 0


# ---- columns --------------------------------------------------------------------------------------------------------

COLUMNS = {
    "integers": ["1", " 22 ", "+3", "-4"],
    "missing integers": ["1", "", "NA", "4"],
    "floats": ["1", "2.5", ".5", "1e3"],
    "codes": ["1", "2", "3", "007"],
    "long": ["1", "2", "3", "1234567890123456789"],
    "no codes": ["01", "02", "1.5", "3"],
    "texts": ["a", "b", "1", "2"],
    "mostly numbers": ["1", "2", "3", "4", "x"],
    "placeholders": ["1", "2", "3", "-", "unknown"],
    "few numbers": ["1", "-", "-", "-"],
    "truths": ["True", "False", "", "True"],
    "money": ["$1,000.50", "$2", "", "$3.5"],
    "percent": ["10 %", "2.5%", "3%", "-"],
    "money at the end": ["1", "2", "3", "$4"],
    "empty": ["", "NA", "?", "nan"],
    "infinite": ["1", "inf", "-Inf", "2"],
    "large": ["1", "2", "9007199254740993", "3"],
}
COMMAS = {
    "commas": ["1,5", "2,25", "1.234,5", "3"],
    "thousands": ["1.234", "2.000", "3", "4"],
    "points": ["1.5", "2.5", "3", "4"],
    "codes": ["01", "2", "3", "4"],
}


@pytest.mark.parametrize(
    ("cells", "decimal"), [*((c, ".") for c in COLUMNS.values()), *((c, ",") for c in [*COMMAS.values(), ["a", "1,5"]])]
)
@pytest.mark.parametrize("options", [{}, {"texts": True}, {"codes": False}])
def test_blocks_of_a_column_have_the_type_of_all_its_cells(cells, decimal, options):
    import pyarrow as pa

    whole = pa.chunked_array([cells], pa.string())
    column = TextColumn("x", decimal)
    for cell in cells:  # blocks of one cell
        column.add(pa.chunked_array([[cell]], pa.string()))
    expected = convert(whole, decimal, **options).series
    pd.testing.assert_series_equal(column.convert(whole, **options).series, expected)
    parts = [column.convert(whole.slice(i, 1), **options).series for i in range(len(cells))]
    assert {part.dtype for part in parts} == {expected.dtype}
    assert pd.concat(parts, ignore_index=True).equals(expected)
    if column.kind() in ("integer", "float"):
        style = NumberStyle.of(observed_cells(whole), decimal)
        assert column.style.write(pd.Series([1234.5]), decimal)[0] == style.write(pd.Series([1234.5]), decimal)[0]


def test_the_blocks_of_a_file_are_the_file(path, stream):
    whole = read(path)
    stream()
    blocks = resolve(path, tables=True)
    assert isinstance(blocks, TableBlocks)
    assert blocks.shape == whole.X.shape
    parts = list(blocks.datasets(100))
    assert [len(part.X) for part in parts] == [100] * 9
    pd.testing.assert_frame_equal(pd.concat([part.X for part in parts], ignore_index=True), whole.X)
    assert parts[3].text.place_of(5) == whole.text.place_of(305)
    frames = [blocks.to_frame(block) for block in blocks.blocks()]
    assert len(frames) > 5
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), whole.X)
    assert {note for note in whole.notes if "age" in note} <= {*blocks.notes}


@pytest.mark.parametrize("kind", ["plain", "quoted", "semicolons", "spaces", "packed", "bare"])
def test_tables_of_numbers_are_stored_once(tmp_path, stream, kind):
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"2020": r.normal(size=N).round(3), "b": r.integers(0, 9, N)})
    frame.loc[r.random(N) < 0.1, "2020"] = np.nan
    path = tmp_path / ("x.csv.gz" if kind == "packed" else "x.csv")
    options = {
        "semicolons": {"sep": ";", "decimal": ","},
        "spaces": {"sep": " ", "na_rep": "NA"},
        "bare": {"header": False},
    }
    frame.to_csv(path, index=False, quoting=0, **options.get(kind, {}))
    if kind == "quoted":
        text = path.read_text().split("\n", 1)
        path.write_text('"2020","b"\n' + text[1])
    whole = read(path)
    stream()
    rows = open_rows(path)
    assert isinstance(rows.X, RowSource)
    assert rows.X.columns == (whole.columns or ("x0", "x1"))
    np.testing.assert_array_equal(rows.X[:], whole.X)


# ---- models ---------------------------------------------------------------------------------------------------------


def test_the_codec_knows_every_row(path, stream, monkeypatch):
    whole = VAE(2, **SMALL).fit(read(path).X)
    expected = whole.score_samples(read(path).X)
    stream()
    monkeypatch.setattr(_table_stream, "_SAMPLE_ROWS", 300)
    model = VAE(2, **SMALL).fit(path)
    for own, other in zip(model._codec.columns, whole._codec.columns, strict=True):
        assert (own.name, own.dtype, own.missing) == (other.name, other.dtype, pytest.approx(other.missing))
        for attribute in ("low", "high", "decimals", "values"):
            assert getattr(own, attribute, None) == getattr(other, attribute, None), (own.name, attribute)
    np.testing.assert_array_equal(whole.score_samples(path), expected)


@pytest.mark.parametrize("output", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("method", ["impute", "reconstruct", "transform"])
def test_commands_write_the_same_files(path, stream, small_chunks, method, output):
    VAE(2, **SMALL).fit(read(path).X).save(path.with_name("m.safetensors"))
    files = [path.with_name(f"{name}.{output}") for name in ("whole", "streamed")]
    for file in files:
        if method == "transform" and output == "jsonl":
            return
        run(method, path.with_name("m.safetensors"), path, "-o", file)
        stream()
    if output == "parquet":
        pd.testing.assert_frame_equal(*map(pd.read_parquet, files))
    else:
        assert files[0].read_text() == files[1].read_text()


def test_rows_with_names_and_columns_in_another_order(path, stream, small_chunks, capfd):
    VAE(2, **SMALL).fit(read(path).X).save(path.with_name("m.safetensors"))
    frame = table()[["ok", "height", "zip", "note", "sex", "rooms", "price", "age"]].assign(more="x")
    frame.to_csv(path, sep=";")
    files = [path.with_name(f"{name}.csv") for name in ("whole", "streamed")]
    for file in files:
        run("impute", path.with_name("m.safetensors"), path, "-o", file)
        stream()
    assert files[0].read_text() == files[1].read_text()
    assert files[0].read_text().startswith(";ok;height;zip")
    assert capfd.readouterr().err.count("ignored columns that the model was not fitted on: more") == 2


@pytest.mark.parametrize("words", [(), ("--by-column",)])
def test_scores_are_the_same(path, stream, small_chunks, capsys, words):
    VAE(2, **SMALL).fit(read(path).X).save(path.with_name("m.safetensors"))
    found = []
    for name in ("whole.npy", "streamed.npy"):
        run("score", path.with_name("m.safetensors"), path, "-o", path.with_name(name), "--json", *words)
        found.append((json.loads(capsys.readouterr().out), np.load(path.with_name(name))))
        stream()
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12 if words else 0)


def test_outliers_are_the_same(path, stream, small_chunks, capsys):
    detector = AutoencoderOutlierDetector(VAE(2, **SMALL), random_state=0).fit(read(path).X)
    detector.save(path.with_name("d.safetensors"))
    found = []
    for name in ("whole.csv", "streamed.csv"):
        run("outliers", path.with_name("d.safetensors"), path, "-o", path.with_name(name), "--explain")
        found.append((capsys.readouterr().out, path.with_name(name).read_text()))
        stream()
    assert found[0] == found[1]


def test_fit_and_impute_without_a_model(path, stream, capsys):
    stream()
    model = path.with_name("m.safetensors")
    run("fit", path, "-o", model, "-k", "2", "--epochs", "2", "--set", "hidden_layer_sizes=8")
    assert "VAE, 8 columns -> 2 units, fitted to 900 rows" in capsys.readouterr().out
    assert load(model).sample(2, random_state=0).columns.tolist() == table().columns.tolist()


def test_numbers_are_filled_in_where_they_are_written(tmp_path, stream, small_chunks):
    r = np.random.default_rng(0)
    frame = pd.DataFrame(r.normal(size=(N, 3)).round(2), columns=list("abc")).map("{:.2f}".format)
    frame = frame.mask(r.random(frame.shape) < 0.2, "-")
    frame.to_csv(tmp_path / "x.csv", index=False)
    VAE(1, **SMALL).fit(read(tmp_path / "x.csv").X).save(tmp_path / "m.safetensors")
    for name in ("whole.csv", "streamed.csv"):
        run("impute", tmp_path / "m.safetensors", tmp_path / "x.csv", "-o", tmp_path / name)
        stream()
    assert (tmp_path / "whole.csv").read_text() == (tmp_path / "streamed.csv").read_text()


def test_ragged_lines_and_missing_columns_are_named(path, stream, capfd):
    VAE(2, **SMALL).fit(read(path).X).save(path.with_name("m.safetensors"))
    stream()
    words = [str(path.with_name("m.safetensors")), str(path), "-o", str(path.with_name("z.csv"))]
    text = path.read_text()
    path.write_text(text + "f,1\n")
    assert main(["impute", *words]) == 2
    assert f"line {N + 2} has 2 cells" in capfd.readouterr().err
    table().drop(columns="zip").to_csv(path, index=False)
    assert main(["impute", *words]) == 2
    assert "has no column 'zip'" in capfd.readouterr().err
    assert not path.with_name("z.csv").exists()
