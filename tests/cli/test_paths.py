"""No file that a command reads is replaced by one that it writes, and this is known before any work."""

import os
from pathlib import Path

import numpy as np
import pytest

from data_files import needs_pyarrow
from isthmus._formats import BUNDLED, FETCHED, any_of, readable_suffixes, writable_suffixes
from isthmus.data import read, write


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with data, labels, a configuration, and links to them."""
    monkeypatch.chdir(tmp_path)
    table = np.random.default_rng(0).normal(size=(30, 3))
    write("data.csv", table, ["a", "b", "c"])
    write("labels.csv", np.arange(30) % 2, ["y"])
    np.savez("data.npz", X=table)
    Path("run.toml").write_text("max_epochs = 1\n")
    Path("link.csv").symlink_to("data.csv")
    os.link("data.csv", "hard.csv")
    Path("old.csv").write_text("another table\n1\n")
    Path("logs").mkdir()
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


FIT = ["fit", "data.csv", "-m", "cvae", "--y", "labels.csv", "-c", "run.toml", "-q"]
READ = "which the same command reads or writes; name another file"
REFUSED = {
    "log is the data": (
        [*FIT, "-o", "m.safetensors", "--log", "data.csv"],
        f"data.csv: would replace data.csv, {READ}",
    ),
    "log is a link": ([*FIT, "-o", "m.safetensors", "--log", "link.csv"], f"link.csv: would replace data.csv, {READ}"),
    "log is a hard link": ([*FIT, "-o", "m.safetensors", "--log", "hard.csv"], "would replace data.csv"),
    "log is the labels": ([*FIT, "-o", "m.safetensors", "--log", "./labels.csv"], "would replace labels.csv"),
    "log is the configuration": ([*FIT, "-o", "m.safetensors", "--log", "run.toml"], "--log run.toml: is a file"),
    "log is the model": ([*FIT, "-o", "m.safetensors", "--log", "m.safetensors"], "is a file of the same command"),
    "log is another file": ([*FIT, "-o", "m.safetensors", "--log", "old.csv"], "old.csv: is not a log of training"),
    "log is a folder": ([*FIT, "-o", "m.safetensors", "--log", "logs/none/a.csv"], "does not exist; make it first"),
    "codes for labels": (["transform", "m", "data.csv", "--y", "labels.csv", "-o", "labels.csv"], "replace labels.csv"),
    "codes for an archive": (["transform", "m", "data.npz:X", "-o", "data.npz"], "replace data.npz:X"),
    "scores for a link": (["score", "m", "link.csv", "-o", "data.csv"], "replace link.csv"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_command_reads_is_not_replaced(folder, run, case):
    args, words = REFUSED[case]
    before = contents(folder)
    code, _, err = run(*args)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert contents(folder) == before


@needs_pyarrow
def test_a_file_of_a_folder_of_data_is_not_replaced(folder, run):
    for i in range(2):
        write(f"logs/{i}.parquet", np.zeros((3, 2)))
    code, _, err = run("transform", "m.safetensors", "logs", "-o", "logs/1.parquet")
    assert code == 2
    assert "logs/1.parquet: would replace logs, which" in err


def test_a_log_is_continued_and_replaced_by_another_log(folder, run):
    fit = ["fit", "data.csv", "-m", "autoencoder", "-o", "m.safetensors", "--epochs", 2, "-q", "--log", "log.csv"]
    for _ in range(2):
        code, _, err = run(*fit)
        assert (code, err) == (0, "")
        assert len(Path("log.csv").read_text().splitlines()) == 3
    assert Path("log.csv").read_text().startswith("step,")


@needs_pyarrow
def test_columns_with_numbers_for_names_go_through_a_csv(folder, run):
    table = np.random.default_rng(0).normal(size=(60, 3))
    write("p.parquet", table, ["0", "1", "2"])
    table[3, 1] = np.nan
    write("holes.parquet", table, ["0", "1", "2"])
    run("fit", "p.parquet", "-m", "vae", "-o", "p.safetensors", "--epochs", 2, "-q")
    code, _, err = run("impute", "p.safetensors", "holes.parquet", "-o", "p.csv")
    assert code == 0, err
    filled = read("p.csv")
    assert filled.columns == ("0", "1", "2")
    observed = ~np.isnan(table)
    np.testing.assert_array_equal(filled.X[observed], table[observed])
    assert run("impute", "p.safetensors", "p.csv", "-o", "q.csv")[0] == 0, "and the file is read again"


@pytest.mark.parametrize("command", ["transform", "reconstruct", "impute", "sample", "score"])
def test_help_lists_the_formats_that_can_be_written(run, command):
    assert any_of(writable_suffixes()) in " ".join(run(command, "--help")[1].split())


def test_help_lists_the_formats_that_can_be_read(run):
    text = " ".join(run("--help")[1].split())
    for words in (readable_suffixes(), writable_suffixes(), (*BUNDLED, FETCHED[0])):
        assert any_of(words) in text
