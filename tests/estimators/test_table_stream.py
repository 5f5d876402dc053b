"""Tables larger than memory: the codec sees all extremes, levels and missing cells; the model trains from the disk."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pytest

from data_files import needs_pyarrow
from disk import small_files
from isthmus import VAE, load
from isthmus.cli import main
from isthmus.data import DataError, TableBlocks, reading, resolve
from isthmus.estimators import _table_stream
from isthmus.estimators._table_stream import encode_blocks
from isthmus.tables import TableCodec

pytestmark = needs_pyarrow
N = 1200
SMALL = {"hidden_layer_sizes": 8, "max_epochs": 2, "random_state": 0}


def table():
    r = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "sex": r.choice(["f", "m"], N),
            "age": pd.array(r.integers(18, 80, N), dtype="Int64"),
            "height": r.normal(170, 8, N).round(1),
            "kind": pd.Categorical(r.choice(list("abc"), N)),
            "day": r.choice(pd.date_range("2020-01-01", periods=300), N),
            "ok": r.random(N) < 0.3,
        }
    )
    frame.loc[r.random(N) < 0.2, "sex"] = None
    frame.loc[r.random(N) < 0.1, "height"] = None
    frame.loc[7, ["sex", "height"]] = ["x", 260.5]  # in one row of 1,200
    return frame


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file that is streamed, from 300 rows of which the codec is fitted."""
    table().to_parquet(tmp_path / "table.parquet", row_group_size=500)
    monkeypatch.setattr(reading, "STREAM_ABOVE", 1000)
    monkeypatch.setattr(_table_stream, "_SAMPLE_ROWS", 300)
    monkeypatch.setattr("isthmus.data.formats.parquet._ROWS", 256)
    return tmp_path / "table.parquet"


def test_the_codec_knows_every_row(path):
    whole, model = VAE(2, **SMALL).fit(table()), VAE(2, **SMALL).fit(path)
    for own, other in zip(model._codec.columns, whole._codec.columns, strict=True):
        assert (own.name, own.dtype, own.missing) == (other.name, other.dtype, pytest.approx(other.missing))
        for attribute in ("low", "high", "decimals", "values"):
            assert getattr(own, attribute, None) == getattr(other, attribute, None), (own.name, attribute)
    assert model.score(table()) == pytest.approx(whole.score(table()), abs=1.0)
    assert model.sample(3, random_state=0).dtypes.equals(table().dtypes)
    np.testing.assert_array_equal(model.score_samples(path), model.score_samples(table()))


def test_encoded_rows_are_those_of_the_table_and_their_file_is_removed(path):
    codec, blocks = VAE(2, **SMALL).fit(path)._codec, resolve(path, tables=True)
    assert isinstance(blocks, TableBlocks)
    assert blocks.shape == (N, 6)
    rows = encode_blocks(codec, blocks, noise=False)
    np.testing.assert_allclose(rows[:], codec.encode(table()), rtol=1e-6)
    file = rows.path
    assert file.exists()
    del rows
    assert not file.exists()
    with (
        small_files(64),
        pytest.raises(DataError, match=r"table.parquet: its encoded rows cannot be written .*TMPDIR"),
    ):
        encode_blocks(codec, blocks, noise=False)


def test_a_file_that_changes_while_it_is_read(path):
    blocks = resolve(path, tables=True)
    codec = VAE(2, **SMALL).fit(table())._codec
    table()[:500].to_parquet(path)
    with pytest.raises(DataError, match=r"table.parquet: changed while it was read"):
        encode_blocks(codec, blocks, noise=False)


@pytest.mark.parametrize("make", ["new_file", "new_stream"])
def test_arrow_files(path, make):
    file, arrow = path.with_suffix(".arrow"), pa.Table.from_pandas(table(), preserve_index=False)
    with file.open("wb") as stream, getattr(pa.ipc, make)(stream, arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=256)
    blocks, codec = resolve(file, tables=True), TableCodec().fit(table())
    assert isinstance(blocks, TableBlocks)
    np.testing.assert_allclose(encode_blocks(codec, blocks, noise=False)[:], codec.encode(table()), rtol=1e-6)
    file.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(DataError, match=r"table.arrow: (is damaged, cut short|changed while)"):
        encode_blocks(codec, blocks, noise=False)


def test_row_numbers_are_left_out(tmp_path, path):
    table().assign(id=np.arange(1, N + 1)).to_parquet(path)
    with pytest.warns(UserWarning, match="column 'id' numbers the rows"):
        model = VAE(2, **SMALL).fit(path)
    assert model.sample(2, random_state=0)["id"].tolist() == [1, 2]


def test_the_command_streams(path, capsys):
    model = path.with_name("m.safetensors")
    code = main(["fit", str(path), "-o", str(model), "-k", "2", "--epochs", "2", "--set", "hidden_layer_sizes=8"])
    assert code == 0
    assert "VAE, 6 columns -> 2 units, fitted to 1200 rows" in capsys.readouterr().out
    expected = VAE(2, **SMALL).fit(path)
    np.testing.assert_array_equal(load(model).score_samples(table()), expected.score_samples(table()))
    assert main(["fit", str(path), "-m", "cvae", "--y", "ok", "-o", str(model), "-k", "2", "--epochs", "1"]) == 0


def test_a_folder_of_files_and_one_that_differs(path):
    table().to_parquet(path.with_name("more.parquet"))
    assert len(resolve(path.parent, tables=True)) == 2 * N
    table().drop(columns="sex").to_parquet(path.with_name("other.parquet"))
    with pytest.raises(DataError, match=r"other.parquet: has other columns than more.parquet: it lacks 'sex'"):
        VAE(2, **SMALL).fit(path.parent)
