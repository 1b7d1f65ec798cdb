"""Arrays and words packed into bytes that a browser unpacks by itself: gzip around a JSON header and typed arrays."""

import gzip
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

_TYPES = ("int8", "uint8", "int32", "float32")  # each is a typed array of the browser's by the same name
_ALIGNED = 8  # bytes


def pack(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return a packet; the same facts and arrays give the same bytes.

    A packet is a gzip stream without time or name. Inside are four bytes with the length of the header, little-endian, the header in
    JSON, and the arrays, each beginning at a multiple of eight bytes behind the header. The header holds the facts, and under
    ``arrays`` type, shape and offset of each array. Floating-point numbers that are not finite stay so.

    Parameters
    ----------
    facts
        Words and numbers, as JSON holds them.
    arrays
        Of 8-bit integers, 32-bit integers or single precision.

    Raises
    ------
    TypeError
        If an array is of another type.
    """
    described, parts, offset = {}, [], 0
    for name, values in arrays.items():
        if values.dtype.name not in _TYPES:
            raise TypeError(f"An array of a packet must be one of {', '.join(_TYPES)}; {name} is {values.dtype.name}.")
        content = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
        described[name] = {"type": values.dtype.name, "shape": list(values.shape), "offset": offset}
        parts.append(content + bytes(-len(content) % _ALIGNED))
        offset += len(parts[-1])
    header = json.dumps({**facts, "arrays": described}, ensure_ascii=False, allow_nan=False).encode()
    header += b" " * (-(len(header) + 4) % _ALIGNED)
    return gzip.compress(struct.pack("<I", len(header)) + header + b"".join(parts), compresslevel=6, mtime=0)


def unpack(packet: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the facts and the arrays of a packet.

    Examples
    --------
    >>> unpack(pack({"name": "M1"}, {"rank": np.array([[1.0, 2.5]], dtype=np.float32)}))
    ({'name': 'M1'}, {'rank': array([[1. , 2.5]], dtype=float32)})
    """
    content = gzip.decompress(packet)
    (length,) = struct.unpack_from("<I", content)
    facts = json.loads(content[4 : 4 + length])
    arrays = {
        name: np.frombuffer(content, one["type"], int(np.prod(one["shape"])), 4 + length + one["offset"]).reshape(one["shape"])
        for name, one in facts.pop("arrays").items()
    }
    return facts, arrays
