"""The file format of saved models and checkpoints: tensors and a JSON description in one safetensors file.

Loading such a file cannot run code, and takes no more memory than the file itself accounts for. ``docs/format.md``
describes the format.
"""

from isthmus.serialization._container import SavedFile, open_saved, read, write
from isthmus.serialization._errors import FileError, MissingFileError, printable, quoted
from isthmus.serialization._header import FORMAT, TensorInfo
from isthmus.serialization._values import decode, encode, fits, unknown_parts

__all__ = [
    "FORMAT",
    "FileError",
    "MissingFileError",
    "SavedFile",
    "TensorInfo",
    "decode",
    "encode",
    "fits",
    "open_saved",
    "printable",
    "quoted",
    "read",
    "unknown_parts",
    "write",
]
