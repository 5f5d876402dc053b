"""The table of formats: each class is in it, what is written is read back, and a new format is one file and one row."""

import ast
import contextlib
import inspect
import sys
import types
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import isthmus.data
from data_files import needs_pyarrow, quick, refused
from isthmus import _atomic, _formats
from isthmus._formats import TABLE, FormatRow, any_of, readable_suffixes, split_member, writable_suffixes
from isthmus.data import DataError, as_source, check_writable, open_writer, read, write
from isthmus.data.dataset import as_dataset
from isthmus.data.formats import Format, load_format

FOLDER = Path(isthmus.data.__file__).parent
# The others, whose files say the type of each column, are in test_frames.py.
WRITABLE = [row for row in TABLE if row.class_name in ("Npy", "Npz", "Csv", "Parquet")]
TABLES = [row for row in WRITABLE if row.class_name in ("Csv", "Parquet")]  # these keep the names of columns


def each(rows):
    """Parametrize a test by rows of the table."""
    marks = {"Parquet": needs_pyarrow}
    cases = [pytest.param(row, marks=marks.get(row.class_name, ()), id=row.module) for row in rows]
    return pytest.mark.parametrize("row", cases)


# ---- the table ---------------------------------------------------------------------------------------------------


def test_each_module_of_formats_is_a_row_of_the_table():
    modules = {file.stem for file in (FOLDER / "formats").glob("*.py") if not file.stem.startswith("_")}
    assert {row.module for row in TABLE} == modules
    assert all(issubclass(load_format(row), Format) for row in TABLE)


@each(TABLE)
def test_a_class_says_what_its_row_says(row):
    cls = load_format(row)
    assert not inspect.isabstract(cls)
    assert cls.__doc__
    with contextlib.ExitStack() as stack:
        if not row.writable:
            stack.enter_context(pytest.raises(DataError, match="cannot be written. Use"))
        check_writable(f"results{(*row.suffixes, '.folder')[0]}")
    assert ("writer" in vars(cls)) == row.writable


def test_errors_list_the_table(tmp_path):
    (tmp_path / "a.docx").touch()
    refused(tmp_path / "a.docx", f"Use {any_of(readable_suffixes())}.")
    with pytest.raises(DataError, match=f"Use {any_of(writable_suffixes())}.$".replace(".", r"\.")):
        check_writable(tmp_path / "a.txt")


def test_suffixes_belong_to_one_format():
    assert len(set(readable_suffixes())) == len(readable_suffixes())
    assert set(writable_suffixes()) < set(readable_suffixes())
    assert [sum(row.matches(f"a{suffix}") for row in TABLE) for suffix in readable_suffixes()] == [1] * len(
        readable_suffixes()
    )


def test_a_new_format_is_one_module_and_one_row(tmp_path, monkeypatch):
    class Words(Format):
        """Numbers separated by spaces."""

        def read(self):
            return as_dataset(np.loadtxt(self.path, ndmin=2), self.path)

        @contextlib.contextmanager
        def writer(self, file, layout):
            with file.open("w") as stream:
                yield lambda block: np.savetxt(stream, block)

    module = types.ModuleType("words")
    module.Words = Words
    monkeypatch.setitem(sys.modules, "isthmus.data.formats.words", module)
    monkeypatch.setattr(_formats, "TABLE", (*TABLE, FormatRow("words", "Words", (".words",))))
    X = np.arange(6.0).reshape(3, 2)
    write(tmp_path / "x.words", X)
    np.testing.assert_array_equal(read(tmp_path / "x.words").X, X)
    np.testing.assert_array_equal(as_source(tmp_path / "x.words")[1:], X[1:])
    (tmp_path / "a.docx").touch()
    refused(tmp_path / "a.docx", ".idx.gz or .words.")
    assert any_of(writable_suffixes()).endswith(".xlsx or .words")


def test_only_formats_with_members_split_a_source():
    assert split_member("a.npz:X") == ("a.npz", "X")
    assert split_member("C:/a.csv") == ("C:/a.csv", None)
    assert split_member("a.csv:X") == ("a.csv:X", None)


# ---- what is written is read back --------------------------------------------------------------------------------


@each(WRITABLE)
@quick
@given(X=arrays.arrays(np.float64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=5)), upper=st.booleans())
def test_a_table_of_any_floats_comes_back_with_the_same_bits(tmp_path, row, X, upper):
    suffix = row.suffixes[0].upper() if upper else row.suffixes[0]
    path = tmp_path / f"table{suffix}"
    write(path, X)
    back = read(path)
    assert back.name == "table"
    assert back.y is None
    assert back.image_shape is None
    assert back.columns == (tuple(f"x{i}" for i in range(X.shape[1])) if row in TABLES else None)
    values = np.asarray(back.X)  # a table of text whose columns have no cells is a DataFrame
    np.testing.assert_array_equal(values, X)
    np.testing.assert_array_equal(np.signbit(values[~np.isnan(X)]), np.signbit(X[~np.isnan(X)]))
    assert values.dtype == np.float64


@each([row for row in WRITABLE if row not in TABLES])
@quick
@given(
    X=arrays.arrays(
        st.sampled_from(["?", "u1", "<i4", ">i4", ">f4", "<f8", "f2"]),
        arrays.array_shapes(min_dims=1, max_dims=4, max_side=4),
    )
)
def test_arrays_of_any_shape_are_flattened_and_their_image_shape_kept(tmp_path, row, X):
    path = tmp_path / f"images{row.suffixes[0]}"
    write(path, X)
    back = read(path)
    assert back.image_shape == (X.shape[1:] if X.ndim > 2 else None)
    np.testing.assert_array_equal(back.X, X.reshape(len(X), -1) if X.ndim > 2 else X)
    assert back.X.dtype == X.dtype.newbyteorder("=")
    assert back.X.dtype.isnative


@each(TABLES)
@quick
@given(
    X=arrays.arrays(
        st.sampled_from(["?", "u1", "<i4", ">i4", ">i8", ">f4", "f4"]),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=4),
    ).filter(lambda X: X.dtype.itemsize < 8 or (abs(X.astype(float)) <= 2**53).all())
)
def test_tables_of_other_types_keep_their_values(tmp_path, row, X):
    path = tmp_path / f"table{row.suffixes[0]}"
    write(path, X)
    np.testing.assert_array_equal(read(path).X, X.astype(float))


@each(TABLES)
@quick
@given(
    names=st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool),
            st.sampled_from(["0", "1", "-2.5", "1e3", "nan", "NA", "inf", "2019", 'b "c", d', "é", "x0"]),
        ),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    data=st.data(),
)
def test_any_names_of_columns_come_back(tmp_path, row, names, data):
    X = data.draw(arrays.arrays(np.float64, (2, len(names)), elements=st.floats(allow_nan=True)))
    path = tmp_path / f"table{row.suffixes[0]}"
    write(path, X, names)
    back = read(path)
    assert back.columns == tuple(names)
    np.testing.assert_array_equal(back.X, X)


@each(WRITABLE)
@quick
@given(
    X=arrays.arrays(
        st.sampled_from(["f4", "f8", "i4"]), arrays.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=9)
    ),
    cuts=st.lists(st.integers(0, 9), max_size=3).map(sorted),
)
def test_blocks_make_the_file_that_the_whole_makes(tmp_path, row, X, cuts):
    path, whole = tmp_path / f"blocks{row.suffixes[0]}", tmp_path / f"whole{row.suffixes[0]}"
    path.unlink(missing_ok=True)
    with open_writer(path, len(X)) as write_block:
        for block in np.split(X, cuts):
            write_block(block)
            assert not path.exists(), "written under another name"
    write(whole, X)
    a, b = read(path), read(whole)
    np.testing.assert_array_equal(a.X, b.X)
    assert (a.X.dtype, a.columns) == (b.X.dtype, b.columns)


# ---- imports -----------------------------------------------------------------------------------------------------


def names_of(node):
    """Return the modules that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return [node.module]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_only_numpy_and_the_standard_library_are_imported_at_the_top():
    files = [file for file in FOLDER.rglob("*.py") if file.parent.name != "loaders"]  # loaders import torch
    own = ("isthmus.data", "isthmus._atomic", "isthmus._names", "isthmus._formats")
    for file in [*files, Path(_atomic.__file__), Path(_formats.__file__)]:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            for name in names_of(node):
                allowed = name.split(".")[0] in {*sys.stdlib_module_names, "numpy"}
                allowed |= (name == "isthmus" or name.startswith(own)) and not name.startswith("isthmus.data.loaders")
                assert allowed, f"{file.name}: {name}"


def test_the_table_imports_nothing_but_the_standard_library():
    body = ast.parse(Path(_formats.__file__).read_text(encoding="utf-8")).body
    assert {name.split(".")[0] for node in body for name in names_of(node)} <= sys.stdlib_module_names
