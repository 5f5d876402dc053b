"""Files of data that were found by fuzzing, and files of all formats that are changed at random."""

import gzip
import random
from pathlib import Path

import pytest

for library in ("pandas", "pyarrow", "openpyxl", "PIL"):
    pytest.importorskip(library)

from hostile_data import judge_data, mutated_data, write_data  # noqa: E402 - it needs these libraries

CORPUS = sorted((Path(__file__).parents[1] / "corpus").glob("data-*"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the files that changes start from, by their formats."""
    return write_data(tmp_path_factory.mktemp("files"))


def judge(folder, kind, content):
    path = folder / f"x.{kind}"
    path.write_bytes(content)
    outcomes = [judge_data(path), judge_data(path, blocks=True)]
    path.unlink()
    return outcomes


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_was_found(path, tmp_path):
    assert set(judge(tmp_path, path.name.partition(".")[2], path.read_bytes())) <= {"read", "refused"}


def test_a_table_that_ends_in_its_first_lines(tmp_path):
    """Found by fuzzing: the first lines of a compressed table were read where errors were not expected."""
    content = gzip.compress(b"a,b\n" + b"1,2\n" * 100, mtime=0)
    assert judge(tmp_path, "csv.gz", content[:-20]) == ["refused", "refused"]


def test_changes_at_random(files, tmp_path):
    found = set()
    for kind, paths in files.items():
        assert judge(tmp_path, kind, paths[0].read_bytes())[0] == "read"
        for i in range(12):
            rng = random.Random(f"{kind}/{i}")
            found |= set(judge(tmp_path, kind, mutated_data(rng, kind, rng.choice(paths).read_bytes())))
    assert found == {"read", "refused"}
