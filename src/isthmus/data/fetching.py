"""Data sets that a package or ``isthmus data fetch`` puts on the disk."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from isthmus._atomic import atomic_write
from isthmus._formats import FETCHED
from isthmus._names import suggestion
from isthmus.data.dataset import Dataset
from isthmus.data.errors import DataError, MissingFileError, errors_of_writing

__all__ = ["fetch", "folder_of", "load_fetched"]

_BLOCK = 1 << 16
_TIMEOUT = 30.0  # seconds without a byte
_TRIES, _PAUSE = 4, 1.0  # tries of each file, and seconds before the second one


class RemoteFile(NamedTuple):
    """A gzipped file, its size in bytes unpacked, and the SHA-256 digest of its content."""

    name: str
    n_bytes: int
    sha256: str


class RemoteSet(NamedTuple):
    """A data set: where it is, where packages put it, and its files."""

    url: str
    packages: tuple[Path, ...]  # folders
    files: tuple[RemoteFile, ...]
    parts: dict[str, tuple[str, str]]  # images and labels by the name of the data set


_FASHION_MNIST = RemoteSet(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    (Path("/usr/share/datasets/fashion-mnist"),),  # the package dataset-fashion-mnist of Debian
    (
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            47040016,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            60008,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            7840016,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            10008,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    {
        "fashion-mnist": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        "fashion-mnist-test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
    },
)
_SETS = dict.fromkeys(FETCHED, _FASHION_MNIST)


def folder_of(name: str) -> Path:
    """Return the folder into which a data set is fetched: below ``$XDG_CACHE_HOME``, by default ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "isthmus" / name.removesuffix("-test")


def load_fetched(name: str) -> Dataset:
    """Return a data set that is on the disk.

    Parameters
    ----------
    name : str
        "fashion-mnist", 60,000 gray images of clothes of 28 x 28 pixels with labels from 0 to 9; or
        "fashion-mnist-test", the 10,000 others.

    Returns
    -------
    Dataset
        X of shape (N, 784), of bytes, and y.

    Raises
    ------
    MissingFileError
        If it is not on the disk; the message says how to get it.
    """
    from isthmus.data.formats.idx import Idx

    known = _SETS[name]
    for folder in (*known.packages, folder_of(name)):
        images, labels = (folder / file for file in known.parts[name])
        if images.is_file() and labels.is_file():
            found = Idx(images).read()
            return found._replace(y=Idx(labels).read().X, name=name)
    raise MissingFileError(
        f"{name}: is not on this machine; run `isthmus data fetch {name.removesuffix('-test')}` (31 MB), or install "
        "Debian's package dataset-fashion-mnist."
    )


def fetch(
    name: str,
    folder: str | os.PathLike[str] | None = None,
    *,
    url: str | None = None,
    progress: Callable[[str, int], object] | None = None,
) -> Path:
    """Fetch a data set, and compare each file with its checksum.

    A file that is there already is not fetched again. An interrupted fetch is resumed by the next one, if the server
    can send a part of a file.

    Parameters
    ----------
    name : str
        "fashion-mnist".
    folder : str or os.PathLike, optional
        Where to put the files; by default where :func:`read` finds them.
    url : str, optional
        Address of a copy: a folder with the same files.
    progress : callable, optional
        Called with the name of a file and the number of bytes that are there.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    DataError
        If the name is unknown, the server cannot be reached, or a file is not the one that it should be.
    """
    if name not in FETCHED:
        known_names = f"{suggestion(name, FETCHED)} Known: {FETCHED[0]}."
        raise DataError(f"{name}: is not a data set that can be fetched.{known_names}")
    if url is not None and not url.startswith(("http://", "https://")):
        raise DataError(f"--url {url}: must begin with http:// or https://.")
    progress = progress or (lambda *_: None)
    known, target = _SETS[name], folder_of(name) if folder is None else Path(folder)
    with errors_of_writing(target):
        target.mkdir(parents=True, exist_ok=True)
    for file in known.files:
        path = target / file.name
        if path.is_file() and _is_right(path, file):
            progress(file.name, path.stat().st_size)
            continue
        with errors_of_writing(path):
            _fetch_file(f"{(url or known.url).rstrip('/')}/{file.name}", path, file, progress)
    return target


def _fetch_file(address: str, path: Path, file: RemoteFile, progress: Callable[[str, int], object]) -> None:
    """Fetch a file, after several tries if the connection breaks."""
    part = path.with_name(f"{path.name}.part")
    for i in range(_TRIES):
        try:
            _append(address, part, file, progress)
            break
        except urllib.error.HTTPError as error:
            error.close()
            raise DataError(f"{address}: the server says {error.code} {error.reason}; try --url.") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            reason = getattr(reason, "strerror", None) or reason
            if isinstance(error, OSError) and error.filename is not None:  # the disk, not the network
                raise
            if i == _TRIES - 1:
                raise DataError(
                    f"{address}: could not be fetched ({reason}). Is this machine offline? What has arrived is kept: "
                    f"run the same command again, name a copy with --url, or put the files into {path.parent} yourself."
                ) from error
            time.sleep(_PAUSE * 2**i)
    if not _is_right(part, file):
        part.unlink()
        raise DataError(
            f"{address}: is not the file that it should be (its SHA-256 digest differs), and was removed; fetch it "
            "again, or name another copy with --url."
        )
    with atomic_write(path) as temporary:
        part.replace(temporary)


def _append(address: str, part: Path, file: RemoteFile, progress: Callable[[str, int], object]) -> None:
    """Fetch the missing rest of a file, or the whole file if the server cannot send a part of it."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing
            error.close()
            return
        raise
    with contextlib.closing(response):
        resumed = response.status == 206
        expected = response.headers.get("Content-Length")
        n_bytes = start if resumed else 0
        end = None if expected is None else n_bytes + int(expected)
        with part.open("ab" if resumed else "wb") as stream:
            while block := response.read(_BLOCK):
                n_bytes += stream.write(block)
                progress(file.name, n_bytes)
                if n_bytes > file.n_bytes:  # gzipped, it is smaller
                    raise DataError(f"{address}: is larger than it should be; name another copy with --url.")
        if end is not None and n_bytes < end:
            raise http.client.IncompleteRead(b"", end - n_bytes)


def _is_right(path: Path, file: RemoteFile) -> bool:
    """Return whether the content of a gzipped file has the right size and digest."""
    digest, n_bytes = hashlib.sha256(), 0
    try:
        with gzip.open(path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                n_bytes += len(block)
                if n_bytes > file.n_bytes:
                    return False
    except (OSError, EOFError, ValueError, zlib.error):
        return False
    return n_bytes == file.n_bytes and digest.hexdigest() == file.sha256
