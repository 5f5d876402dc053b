"""A folder of images. It needs pillow: ``isthmus[image]``."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isthmus.data.dataset import Dataset
from isthmus.data.errors import DECOMPRESSION, HEADER, DataError
from isthmus.data.formats._base import Format
from isthmus.data.formats._unpacking import check_unpacked

__all__ = ["ImageFolder"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pnm")
_SHOWN = 4  # names or sizes that a message has
_DEEP = ("I;16", "I;16B", "I;16L", "I")  # modes of 16 bits per pixel


class _Options(NamedTuple):
    size: tuple[int, int] | None  # height and width
    mode: str | None  # "L" or "RGB"


class ImageFolder(Format):
    """Images in the files of a folder, or of its subfolders, in the order of their names.

    Pixels are numbers from 0 to 255. The member "28x28" resizes all images to that height and width, "gray" or "rgb"
    converts them, "28x28:gray" does both. Otherwise all images must have the same size; they are gray if all files
    are, and RGB if not. Transparent pixels become white. If all images are in subfolders, the names of these are the
    labels. Files that cannot be read are left out, with a note that names them.
    """

    @classmethod
    def sniff(cls, path: Path) -> bool:
        """Return whether a folder, or a folder in it, has images."""
        return path.is_dir() and next(_files(path), None) is not None

    def read(self) -> Dataset:
        """Return the images: (N, H W) if they are gray, otherwise (N, 3 H W), channel by channel."""
        library = _library(self.path)
        options = _parse(self.member, self.path)
        found: dict[Path, NDArray[Any]] = {}
        unreadable: list[str] = []
        for file in _files(self.path):
            try:
                found[file] = _pixels(library, file, options)
            except (OSError, *DECOMPRESSION, *HEADER, library.DecompressionBombError):
                unreadable.append(str(file.relative_to(self.path)))
        notes = []
        if unreadable:
            shown = ", ".join(unreadable[:_SHOWN]) + (", ..." if len(unreadable) > _SHOWN else "")
            total = len(found) + len(unreadable)
            if not found:
                raise DataError(f"{self.path}: none of its {total} images can be read ({shown}).")
            notes.append(f"left out {len(unreadable)} of {total} images that cannot be read: {shown}")
        self._check_sizes(found)
        if any(image.ndim == 3 for image in found.values()):
            X = np.stack([image if image.ndim == 3 else np.stack([image] * 3) for image in found.values()])
        else:
            X = np.stack(list(found.values()))
        shape = X.shape[1:]
        kind = "gray" if len(shape) == 2 else "RGB"
        notes.insert(0, f"read {len(X)} {kind} images of {shape[-2]} x {shape[-1]} pixels (height x width)")
        inside = [file.relative_to(self.path).parts for file in found]
        labels = np.array([parts[0] for parts in inside]) if all(len(parts) > 1 for parts in inside) else None
        return Dataset(X.reshape(len(X), -1), None, labels, shape, self.path.name, tuple(notes))

    def _check_sizes(self, found: dict[Path, NDArray[Any]]) -> None:
        """Raise `DataError` if the images have several sizes."""
        sizes = Counter(image.shape[-2:] for image in found.values())
        if len(sizes) == 1:
            return
        shown = ", ".join(f"{h} x {w} ({n})" for (h, w), n in sizes.most_common(_SHOWN))
        more = ", ..." if len(sizes) > _SHOWN else ""
        height, width = sizes.most_common(1)[0][0]
        raise DataError(
            f"{self.path}: its images have {len(sizes)} sizes, height x width: {shown}{more}. Name the "
            f"size to resize them to: {self.path}:{height}x{width}"
        )


def _files(folder: Path) -> Iterator[Path]:
    """Yield the images in a folder and in its subfolders, except hidden files."""
    for file in sorted(folder.iterdir()):
        if file.name[0] in "._":
            continue
        if file.is_dir():
            inner = sorted(file.iterdir())
            yield from (f for f in inner if f.suffix.lower() in _SUFFIXES and f.name[0] not in "._" and f.is_file())
        elif file.suffix.lower() in _SUFFIXES:
            yield file


def _parse(member: str | None, path: Path) -> _Options:
    """Return the options that a member names."""
    size, mode = None, None
    for word in (member or "").split(":") if member else ():
        if match := re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", word):
            size = int(match[1]), int(match[2])
        else:
            mode = {"gray": "L", "grey": "L", "rgb": "RGB"}[word]
    if size and size[0] * size[1] > 1 << 24:
        raise DataError(f"{path}:{member}: {size[0]} x {size[1]} pixels are too many for a model; name a smaller size.")
    return _Options(size, mode)


def _pixels(library: Any, file: Path, options: _Options) -> NDArray[Any]:
    """Return an image as bytes, (H, W) or (3, H, W)."""
    from PIL import ImageOps

    data = file.read_bytes()  # a file would reserve what a length in it claims
    with library.open(io.BytesIO(data)) as opened:
        width, height = opened.size
        check_unpacked(file, width * height * len(opened.getbands()), len(data))
        ImageOps.exif_transpose(opened, in_place=True)
        image = opened
        if image.mode in _DEEP:
            image = library.fromarray((np.asarray(image).astype(np.int64) // 257).clip(0, 255).astype(np.uint8))
        if "A" in image.getbands() or "transparency" in image.info:
            image = image.convert("RGBA")
            white = library.new("RGBA", image.size, "white")
            image = library.alpha_composite(white, image).convert("RGB")
        mode = options.mode or ("L" if image.mode in ("1", "L") else "RGB")
        image = image.convert(mode)
        if options.size is not None:
            image = image.resize(options.size[::-1], library.Resampling.LANCZOS)
        pixels = np.asarray(image)
    return pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _library(path: Path) -> Any:
    """Return ``PIL.Image``, or raise `DataError` that says how to install it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(f'{path}: a folder of images needs pillow; pip install "isthmus[image]".') from error
    return Image
