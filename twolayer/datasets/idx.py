"""The IDX format of the MNIST files, read strictly."""

import gzip
import math
import struct
import zlib

import numpy as np
from jaxtyping import UInt8

from twolayer.datasets.dataset import DataError


def parse(content: bytes, where: str) -> UInt8[np.ndarray, "..."]:
    """Parse a gzipped IDX file of unsigned bytes. `where` names it in errors.

    Layout: two zero bytes, the type (8 is unsigned byte), the number of dimensions, each dimension as a
    big-endian 32-bit integer, then the values, last index fastest. Not a byte may be missing or left over.
    Raises DataError. Source: http://yann.lecun.com/exdb/mnist/
    """
    try:
        data = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{where} is not a whole gzip file ({error}); get the original again") from error
    magic, rank = data[:3], data[3] if len(data) > 3 else 0
    header = 4 + 4 * rank
    if magic != b"\0\0\x08" or rank == 0 or len(data) < header:
        raise DataError(f"{where} is no IDX file of unsigned bytes: it starts with {data[:4].hex()!r}")
    shape = struct.unpack(f">{rank}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise DataError(f"{where} has {len(data) - header} values, but its header says {shape}")
    # A copy, because arrays over bytes are read-only and those from the cache are not.
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy()
