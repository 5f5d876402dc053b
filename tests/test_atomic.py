"""A file is replaced by a whole one, or not at all."""

import os
import stat

import pytest

from data_files import names_in
from disk import small_files
from isthmus._atomic import atomic_write


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_atomic_write_leaves_nothing_behind(tmp_path, error):
    def fail():
        with atomic_write(tmp_path / "a.bin") as temporary:
            assert temporary.parent == tmp_path
            assert temporary.suffix == ".bin"
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert names_in(tmp_path) == []


def test_a_full_disk_names_the_file(tmp_path):
    def fill():
        with atomic_write(tmp_path / "a.bin") as temporary:
            temporary.write_bytes(bytes(100))

    with small_files(10), pytest.raises(OSError, match="File too large") as raised:
        fill()
    assert raised.value.filename == str(tmp_path / "a.bin")
    assert names_in(tmp_path) == []


def test_atomic_write_replaces_only_at_the_end(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names_in(tmp_path) == ["a.bin"]


def test_atomic_write_gives_a_new_file_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    with atomic_write(tmp_path / "a.bin"):
        pass
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_atomic_write_follows_a_link(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link.bin").symlink_to(tmp_path / "deep" / "a.bin")
    with atomic_write(tmp_path / "link.bin") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"new"


def test_a_missing_folder_is_named(tmp_path):
    message = f"{tmp_path / 'nowhere' / 'a.bin'}: the folder {tmp_path / 'nowhere'} does not exist; make it first."
    with pytest.raises(FileNotFoundError) as caught, atomic_write(tmp_path / "nowhere" / "a.bin"):
        pass
    assert str(caught.value) == message


def test_atomic_write_replaces_no_folder_and_no_device(tmp_path):
    for path in (tmp_path, os.devnull):
        with pytest.raises(OSError, match="is not a regular file"), atomic_write(path):
            pass
