"""What the tests of data files share: files as bytes, and the one error that reading a bad one raises."""

import importlib.util
import io
import struct
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from isthmus.data import DataError, read

quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed: isthmus[table]"
)


def idx_bytes(array, code=8):
    """Return an array as an IDX file."""
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def npy_bytes(array):
    """Return an array as an .npy file, pickled if it must be."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def refused(path, *expected):
    """Return the message of the one `DataError` that reading raises, with everything expected in it."""
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    for text in expected:
        assert text in message
    return message


def survives(path):
    """Read a file that may be damaged: the data or one `DataError` of one line, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, on headers of Python 2
        try:
            read(path)
        except DataError as error:
            return "\n" not in str(error)
    return True


def names_in(folder):
    """Return the names of all files in a folder."""
    return [file.name for file in folder.iterdir()]
