"""Arrays as .npy files, read only if the file is as long as its header says."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from giornata.errors import BundleError

__all__ = ["read_array", "write_array"]

_VERSION = (1, 0)


def write_array(array: NDArray[Any]) -> bytes:
    """The array as the content of a .npy file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=_VERSION, allow_pickle=False)
    return buffer.getvalue()


def read_array(
    files: Mapping[str, bytes], name: str, type_: str, dimensions: Sequence[int] = (1,)
) -> NDArray[Any]:
    """The array in file `name`, of NumPy's type `type_` and one of so many dimensions.

    Raises BundleError, before any memory is allocated, if the file holds another array or none.
    """
    content = files[name]
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version != _VERSION:
            raise BundleError(f"{name} is of version {version}, not {_VERSION}")
        shape, in_columns, found = np.lib.format.read_array_header_1_0(stream)
    except BundleError:
        raise
    except Exception as error:  # NumPy reads the header as a Python literal
        raise BundleError(f"{name} is no array: {error}") from error
    wanted = np.dtype(type_)
    if found != wanted or len(shape) not in dimensions or in_columns:
        raise BundleError(f"{name} holds {len(shape)} dimensions of {found}, not one of {wanted}")
    start = stream.tell()
    if min(shape) < 0 or math.prod(shape) * wanted.itemsize != len(content) - start:
        raise BundleError(
            f"{name} is no array: its header says that its shape is {shape}, and {len(content) - start} bytes follow"
        )
    return np.frombuffer(content, wanted, offset=start).reshape(shape).copy()
