"""An array as we pack the recordings of a data set: one behind the other in one .npy file, compressed by xz."""

from __future__ import annotations

import io
import lzma
import tokenize
from pathlib import Path

import numpy as np

from ..errors import DataError, reading


def read(path: Path, dtype: str, shape: tuple[int | None, ...], cap: int) -> np.ndarray:
    """The array of PATH, which must be `<name>.npy.xz`; None in `shape` stands for any number but 0.

    Nothing is unpickled, and at most `cap` bytes are unpacked. Raises DataError with file, place, expected and found.
    """
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    with reading(path, EOFError, lzma.LZMAError):
        content = unpacker.decompress(path.read_bytes(), cap + 1)
    if len(content) > cap:
        raise DataError(f"{path}: more than {cap} bytes unpacked, at most {cap} expected")
    if not unpacker.eof or unpacker.unused_data:
        found = "bytes behind the end" if unpacker.eof else "no end"
        raise DataError(f"{path}: {found} of its xz stream found, the end and no more expected")
    header = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(header)
        if version != (1, 0):
            raise ValueError(f"version {version} of the format found, (1, 0) expected")
        found_shape, columns_first, found_dtype = np.lib.format.read_array_header_1_0(header)
    except (ValueError, tokenize.TokenError) as error:  # numpy reads an old header as a program
        raise DataError(f"{path}: byte 0: not an .npy array: {str(error).splitlines()[0]}") from None
    fits = len(found_shape) == len(shape) and all(n == (m or n) > 0 for n, m in zip(found_shape, shape, strict=True))
    if found_dtype != np.dtype(dtype) or columns_first or not fits:
        wanted = f"({', '.join('any' if n is None else str(n) for n in shape)}) of {dtype}"
        order = " by columns" if columns_first else ""
        raise DataError(f"{path}: byte 0: {found_shape} of {found_dtype.str}{order} found, {wanted} expected")
    size, left = int(np.prod(found_shape, dtype=object)) * found_dtype.itemsize, len(content) - header.tell()
    if left != size:
        raise DataError(f"{path}: byte {header.tell()}: {left} bytes of data found, {size} expected")
    return np.frombuffer(content, found_dtype, offset=header.tell()).reshape(found_shape)
