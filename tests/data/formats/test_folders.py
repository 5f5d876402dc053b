"""Folders: of tables, as one table, and of images; the file that is at fault is named."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_files import needs_pyarrow, refused
from isthmus.data import DataError, read, write_frame

FRAME = pd.DataFrame({"n": [1, 2, 3], "t": ["a", "b", "a"], "x": [0.5, 1.5, np.nan]})


# ---- tables ----------------------------------------------------------------------------------------------------------


@needs_pyarrow
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".feather", ".jsonl", ".xlsx"])
def test_a_folder_of_tables_is_one_table(tmp_path, suffix):
    for i in range(2):
        if suffix == ".csv.gz":
            FRAME.to_csv(tmp_path / f"{i}{suffix}", index=False)
        else:
            write_frame(tmp_path / f"{i}{suffix}", FRAME)
    (tmp_path / "README.txt").write_text("what this is\n")
    data = read(tmp_path)
    assert data.columns == ("n", "t", "x")
    assert data.X["n"].tolist() == [1, 2, 3] * 2
    assert data.X["x"].isna().tolist() == [False, False, True] * 2
    assert data.notes[0] == "joined 2 files"
    assert data.name == tmp_path.name
    other = FRAME[["x", "t", "n"]]  # in another order
    write_frame(tmp_path / f"2{suffix.removesuffix('.gz')}", other)
    assert read(tmp_path).X["n"].tolist() == [1, 2, 3] * 3
    write_frame(tmp_path / f"3{suffix.removesuffix('.gz')}", FRAME.rename(columns={"t": "u"}))
    refused(tmp_path, f"3{suffix.removesuffix('.gz')}: has other columns than 0{suffix}: it lacks 't' and has 'u'")


@needs_pyarrow
def test_a_folder_of_text_tables_has_one_type_for_each_column(tmp_path):
    """Cells are read as those of one file; a later file without numbers in its lines may have the same header."""
    (tmp_path / "a.csv").write_text("code,name,size\n7,a,1\n8,b,2\n")
    (tmp_path / "b.csv").write_text("name,code,size\nx,007,3\ny,012,4\n")
    (tmp_path / "c.csv").write_text("code,name,size\n9,z,\n")
    data = read(tmp_path)
    assert data.X["code"].tolist() == ["7", "8", "007", "012", "9"]
    assert data.text.place_of(3) == "line 3 of b.csv"
    (tmp_path / "c.csv").write_text("code,name,size\n9,z,tall\n")
    assert (
        "column 'size' is text because of 1 of 5 cells, such as 'tall' in line 2 of c.csv" in read(tmp_path).notes[-1]
    )
    (tmp_path / "d.csv").write_text("code,name,size\n9,z\n")
    refused(tmp_path, "d.csv: line 2 has 2 cells")


@needs_pyarrow
def test_a_folder_of_numbers_is_an_array_and_keeps_an_index(tmp_path):
    for i in range(2):
        pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 2 + i]}, index=[2 * i, 2 * i + 1]).to_csv(tmp_path / f"{i}.csv")
    data = read(tmp_path)
    assert data.X.tolist() == [[1, 0.5], [2, 2], [1, 0.5], [2, 3]]
    assert data.text.index_values().tolist() == [0, 1, 2, 3]


@needs_pyarrow
def test_folders_that_are_no_table(tmp_path):
    write_frame(tmp_path / "a.jsonl", FRAME)
    write_frame(tmp_path / "b.jsonl", FRAME.assign(n=["x", "y", "z"]))
    refused(tmp_path, "b.jsonl: column 'n' holds ", "in a.jsonl; give all files of a folder the same types")
    write_frame(tmp_path / "c.csv", FRAME)
    refused(tmp_path, "holds tables in several formats (a.jsonl, c.csv): name one of them")


# ---- images ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    """Images of several sizes and modes, and a file that is none."""
    r = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(r.integers(0, 256, (8, 6), np.uint8)).save(folder / "a.png")
    Image.fromarray(r.integers(0, 256, (12, 9, 3), np.uint8)).save(folder / "b.jpg")
    Image.fromarray(np.full((4, 3, 4), [255, 0, 0, 0], np.uint8)).save(folder / "c.png")  # transparent
    Image.fromarray(np.full((4, 3), 65535, np.uint16)).save(folder / "d.tif")
    Image.fromarray(r.integers(0, 2, (4, 3)).astype(bool)).save(folder / "e.gif")
    (folder / "f.png").write_bytes(b"\x89PNG and no more")
    return folder


def test_images_are_resized_and_converted_as_asked(photos):
    data = read(f"{photos}:4x3:gray")
    assert (data.X.shape, data.X.dtype, data.image_shape) == ((5, 12), np.uint8, (4, 3))
    assert (data.X[2] == 255).all()  # white, where nothing is
    assert (data.X[3] == 255).all()
    assert data.notes == (
        "read 5 gray images of 4 x 3 pixels (height x width)",
        "left out 1 of 6 images that cannot be read: f.png",
    )
    data = read(f"{photos}:4x3")
    assert (data.X.shape, data.image_shape) == ((5, 36), (3, 4, 3))
    gray = data.X.reshape(5, 3, 12)[4]
    assert (gray == gray[0]).all()
    message = refused(photos, "its images have 3 sizes, height x width: 4 x 3 (3), ")
    assert message.endswith(f"{photos}:4x3")


def test_images_as_they_are(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 7), np.uint8)
    for i, name in enumerate(("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.PNG")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[i]).save(tmp_path / name)
    data = read(tmp_path)
    np.testing.assert_array_equal(data.X.reshape(4, 5, 7), pixels)
    assert data.y.tolist() == ["cat", "cat", "dog", "dog"]
    assert read(f"{tmp_path}:rgb").image_shape == (3, 5, 7)


def test_images_that_cannot_be_read(photos, monkeypatch):
    refused(f"{photos}:9999x9999", "9999 x 9999 pixels are too many")
    for name in "abcde":
        next(photos.glob(f"{name}.*")).unlink()
    refused(photos, "none of its 1 images can be read (f.png)")
    Image.new("I;16", (6000, 5000)).save(photos / "f.png")  # 34 KB of 60 MB
    refused(photos, "none of its 1 images can be read (f.png)")
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(DataError, match=r'needs pillow; pip install "isthmus\[image\]"'):
        read(photos)
