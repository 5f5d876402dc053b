"""Sources by name: files and bundled data sets, and errors that say what to do."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from data_files import idx_bytes, npy_bytes, refused
from isthmus.data import (
    BUNDLED,
    ArrayRows,
    DataError,
    DatasetRows,
    FileRows,
    ParquetRows,
    as_source,
    open_rows,
    read,
    reading,
)
from isthmus.data.formats.csv import Csv


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets(name):
    data = read(name)
    assert data.name == name
    assert data.X.shape == (len(data.y), len(data.columns))
    assert data.image_shape == ((8, 8) if name == "digits" else None)


def test_a_file_takes_precedence_over_a_bundled_name_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert read("digits").X.shape == (1797, 64)
    (tmp_path / "iris").write_bytes(idx_bytes(np.zeros((3, 28, 28), np.uint8)))
    assert read("iris").X.shape == (3, 784)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("digit", ["digit: neither a file nor a bundled data set", "Did you mean 'digits'?", "wine"]),
        ("Iris", ["Did you mean 'iris'?"]),
        ("qqqqq", ["Bundled: breast_cancer, diabetes, digits, iris, wine."]),
        ("digits.csv", ["digits.csv: no such file"]),
        (
            "digits.cvs",
            ["'.cvs' files cannot be read. Did you mean '.csv'? Use .npy, .npz, .csv, .tsv, .txt, .dat"],
        ),
        ("table.xls", ["'.xls' files cannot be read. Did you mean '.xlsx'? Use .npy"]),
        ("image.png", ["'.png' files cannot be read. Use .npy"]),
        ("nowhere/digits", ["digits: no such file", "check the name and the folder"]),
        ("train-images-idx3-ubyte.gz", ["no such file"]),
        ("n" * 300, ["nnn: "]),  # too long a name, which Python 3.14 takes for a file that is not there
        (".", ["is a folder without tables or images; name a file"]),
        (os.devnull, ["is not a regular file"]),
    ],
)
def test_missing_sources(tmp_path, monkeypatch, source, expected):
    monkeypatch.chdir(tmp_path)
    refused(source, *expected)


def test_a_file_in_an_unknown_format(tmp_path):
    (tmp_path / "a.docx").write_text("1 2 3")
    refused(tmp_path / "a.docx", "'.docx' files cannot be read")
    (tmp_path / "a").write_text("1 2 3")
    refused(tmp_path / "a", "the name has no extension. Use .npy, .npz, .csv, .tsv, .txt, .dat")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(13, "Permission denied"), "cannot be read (Permission denied)"),
        (MemoryError(), "does not fit in memory"),
    ],
)
def test_a_file_that_cannot_be_opened(tmp_path, monkeypatch, error, expected):
    (tmp_path / "a.npy").write_bytes(npy_bytes(np.zeros(3)))

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(Path, "open", fail)
    refused(tmp_path / "a.npy", expected)


@pytest.mark.parametrize("load", [read, open_rows, as_source, FileRows.npy, ParquetRows])
@pytest.mark.parametrize("name", ["none.npy", "none.parquet", "none/x.csv", "none.npz:X", "none/digits"])
def test_a_missing_file_is_a_file_not_found_error(tmp_path, load, name):
    with pytest.raises(FileNotFoundError, match="no such") as caught:
        load(tmp_path / name)
    assert isinstance(caught.value, DataError)
    assert str(caught.value).startswith(str(tmp_path / "none"))


def test_an_error_in_our_own_code_is_not_a_damaged_file(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("1,2\n")

    def fail(*args, **kwargs):
        raise TypeError("a bug")

    monkeypatch.setattr("isthmus.data.formats.csv.as_dataset", fail)
    with pytest.raises(TypeError, match="a bug"):
        read(tmp_path / "a.csv")


def test_what_is_a_source(tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    held = as_source(tmp_path / "x.npy")
    assert isinstance(held, ArrayRows)
    assert held.resident
    for ordinary in (X, X.tolist(), torch.from_numpy(X), np.load(tmp_path / "x.npy", mmap_mode="r")):
        assert as_source(ordinary) is None
    assert as_source(held) is held
    assert isinstance(as_source(torch.utils.data.TensorDataset(torch.from_numpy(X))), DatasetRows)
    assert as_source("digits").columns[0] == "pixel_0_0"
    monkeypatch.setattr(reading, "STREAM_ABOVE", 100)
    for named in (str(tmp_path / "x.npy"), tmp_path / "x.npy", np.load(tmp_path / "x.npy", mmap_mode="r")):
        source = as_source(named)
        assert isinstance(source, FileRows)
        np.testing.assert_array_equal(source[:], X)
    assert isinstance(open_rows(tmp_path / "x.npy").X, FileRows)
    assert as_source(X) is None, "an array in memory stays there"


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    """Readers look at a file more than once: to find out how it is laid out, and for its cells."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    whole = Csv.read

    def read_while_somebody_writes(self):
        data = whole(self)
        with path.open("a") as file:
            file.write("3,z\n")
        return data

    monkeypatch.setattr(Csv, "read", read_while_somebody_writes)
    refused(path, "a.csv: changed while it was read; read it again when nothing writes to it")
