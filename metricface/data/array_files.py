"""Arrays in .npz and .npy files of anybody: read without pickle, and no header is believed before the file's size."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from metricface.errors import DataError
from metricface.machine import memory_size

Array = npt.NDArray[Any]

_PIECE = 2**20  # bytes that are read at once, so that an array is in memory only once
_END, _END_SIZE = b"PK\x05\x06", 22  # of a zip archive without a comment; bytes 10 and 11 say how many files it holds
_MANY = 2**16 - 1  # that its number stands elsewhere


def read_npz(path: Path) -> dict[str, Array]:
    """Return the arrays of an .npz file by name.

    Raises:
        DataError: it cannot be read, is damaged, larger than the memory, or holds objects that only pickle could read.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            inside = archive.infolist()
            if sum(info.file_size for info in inside) > memory_size():
                raise DataError(f"{path}: is larger than the memory of this machine. Split it.")
            if len(inside) != _said_count(file, len(inside)):
                raise ValueError("its directory is damaged")
            return {info.filename.removesuffix(".npy"): _array(archive.open(info), info.file_size) for info in inside}
    except DataError:
        raise
    except Exception as error:  # over bytes that were changed, zipfile and the decompressors raise nearly everything
        raise DataError(f"{path}: cannot be read as .npz ({_said(error)}). Get it again.") from error


def read_npy(path: Path) -> Array:
    """Return the array of an .npy file.

    Raises:
        DataError: as `read_npz`; a file with other numbers of the same size is not noticed, as there is no checksum.
    """
    try:
        with path.open("rb") as file:
            return _array(file, path.stat().st_size)
    except Exception as error:
        raise DataError(f"{path}: cannot be read as .npy ({_said(error)}). Get it again.") from error


def _said_count(file: IO[bytes], found: int) -> int:
    """Return how many files an archive says that it holds, as many as found where it does not say.

    zipfile itself stops early, and is content, where a comment between two of them has become longer.
    """
    file.seek(-_END_SIZE, 2)
    end = file.read(_END_SIZE)
    said = int.from_bytes(end[10:12], "little")
    return said if end.startswith(_END) and said != _MANY else found


def _array(file: IO[bytes], size: int) -> Array:
    """Return an array of `size` bytes with its header, which must say so before any memory is asked for."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("it holds objects of Python, which only pickle could read")
    wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if wanted != size - file.tell():
        raise ValueError(f"its header says {wanted} bytes, there are {size - file.tell()}")
    content = bytearray()
    while piece := file.read(min(_PIECE, wanted - len(content))):
        content += piece
    if len(content) != wanted:
        raise EOFError("it ends early")
    found = np.frombuffer(content, dtype)
    if dtype.kind == "U" and found.view(dtype.str[0] + "u4").max(initial=0) > sys.maxunicode:
        raise ValueError("it has letters that are none")
    return found.reshape(shape[::-1]).transpose() if fortran else found.reshape(shape)


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
