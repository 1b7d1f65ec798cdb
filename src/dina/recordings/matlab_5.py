"""Walk through a MATLAB 5 file before scipy reads it: what contradicts itself there ends the process or takes all memory."""

import struct
import zlib
from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import BinaryIO, NoReturn

from dina.checks import DataError

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_NUMERIC = range(6, 16)
_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # of a number, by the type of an element
_TEXT_BYTES = {**_BYTES, 16: 1, 17: 2, 18: 4}
_MAX_DEFLATE_RATIO = 1100  # deflate never gains more than 1,032 to 1
_MOST_AXES, _DEEPEST, _MOST_SPACES = 32, 20, 4096


def check_matlab_5(path: Path, file: BinaryIO, wanted: Collection[str]) -> None:
    """Refuse a file of which an element does not lie within the file, or a wanted variable is not built as MATLAB builds it.

    Raises
    ------
    DataError
        At the first such element; or if a wanted variable holds a function or an object.
    """
    size, position = path.stat().st_size, 128
    file.seek(126)
    order = "<" if file.read(2) == b"IM" else ">"
    while position < size:
        file.seek(position)
        tag = file.read(8)
        if len(tag) < 8:
            raise DataError(f"{path.name} was cut off at byte {position} of an unfinished element. Copy or fetch it again.")
        kind, n_bytes = struct.unpack(order + "II", tag)
        if position + 8 + n_bytes > size:
            found = f"an element claims {n_bytes} bytes, {size - position - 8} are left"
            raise DataError(f"{path.name} was cut off: {found}. Copy or fetch it again.")
        variable = _Variable(path, file, n_bytes, order, is_compressed=kind == _COMPRESSED)
        if kind == _COMPRESSED:
            kind, claimed = struct.unpack(order + "II", variable.take(8))
            if claimed > _MAX_DEFLATE_RATIO * n_bytes + 4096:
                claim = f"claims {claimed} bytes out of {n_bytes} compressed ones"
                raise DataError(f"{path.name}: a variable {claim}. The file is damaged; copy or fetch it again.")
            variable.left = claimed
        if kind != _MATRIX:
            variable.refuse(f"an element of type {kind} stands where a variable should")
        variable.check(wanted)
        position += 8 + n_bytes


class _Variable:
    """The bytes of one variable, taken in order; those of arrays are passed over."""

    def __init__(self, path: Path, stream: BinaryIO, n_bytes: int, order: str, *, is_compressed: bool) -> None:
        self.left = n_bytes if not is_compressed else 8  # which of them are to come
        self._path, self._stream, self._order = path, stream, order
        self._stored = n_bytes
        self._inflate = zlib.decompressobj() if is_compressed else None
        self._ready, self._at = b"", 0

    def refuse(self, what: str) -> NoReturn:
        raise DataError(f"{self._path.name} cannot be read: {what}. The file is damaged; copy or fetch it again.")

    def take(self, n: int) -> bytes:
        """Return the next bytes."""
        if n > self.left:
            self.refuse(f"a variable was cut off: {n} bytes are needed, {self.left} are left")
        parts, missing = [], n
        while missing:
            if self._at == len(self._ready):
                self._refill()
            part = self._ready[self._at : self._at + missing]
            self._at += len(part)
            missing -= len(part)
            parts.append(part)
        self.left -= n
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, n: int) -> None:
        """Pass over bytes."""
        while n:
            n -= len(self.take(min(n, 2**20)))

    def _refill(self) -> None:
        ready = b""
        while not ready:
            tail = b"" if self._inflate is None else self._inflate.unconsumed_tail
            stored = tail or self._stream.read(min(self._stored, 2**16))
            self._stored -= 0 if tail else len(stored)
            if not stored:
                self.refuse("a variable was cut off")
            ready = stored if self._inflate is None else self._inflate.decompress(stored, 2**20)
        self._ready, self._at = ready, 0

    def _numbers(self, n_bytes: int, content: bytes) -> tuple[int, ...]:
        return struct.unpack(f"{self._order}{n_bytes // 4}I", content)

    def _element(self, kinds: Collection[int], most: int | None = None) -> tuple[int, int, bytes]:
        """Return type, size and content of the next element, without its content where that may be large."""
        tag = self.take(8)
        kind, n_bytes = struct.unpack(self._order + "II", tag)
        is_small = bool(kind >> 16)
        if is_small:  # four bytes or fewer stand in the tag itself
            kind, n_bytes = kind & 0xFFFF, kind >> 16
        if kind not in kinds or (is_small and n_bytes > 4) or (most is not None and n_bytes > most):
            self.refuse(f"an element of type {kind} and {n_bytes} bytes is out of place")
        if is_small:
            return kind, n_bytes, tag[4 : 4 + n_bytes]
        content = b""
        if most is None:
            self.skip(n_bytes)
        else:
            content = self.take(n_bytes)
        self.skip(min(-n_bytes % 8, self.left))  # padding, which may lack at the end
        return kind, n_bytes, content

    def check(self, wanted: Collection[str] | None, where: str = "", depth: int = 0) -> None:
        """Refuse an array that is not built as it should be; ``wanted`` names the variables that are looked into, None for all."""
        _, n_bytes, content = self._element((6,), most=8)
        if n_bytes != 8:
            self.refuse("an array does not say what it is")
        flags, _ = self._numbers(8, content)
        kind = flags & 0xFF
        if kind == _OPAQUE and wanted is None:
            self._refuse_object(where)
        _, n_bytes, content = self._element((1, 5, 6, 16), most=4 * _MOST_AXES if kind != _OPAQUE else 2**10)
        if kind != _OPAQUE:
            if n_bytes < 8 or n_bytes % 4:
                self.refuse(f"an array states its axes in {n_bytes} bytes")
            count = prod(self._numbers(n_bytes, content))
            _, _, content = self._element((1, 16), most=2**10)
        name = content.decode("latin1")
        if wanted is not None and name not in wanted:
            return
        where = where or name
        if kind in (_OPAQUE, _OBJECT, _FUNCTION):
            self._refuse_object(where)
        if depth > _DEEPEST:
            self.refuse(f"{where} is nested more than {_DEEPEST} deep")
        if kind in _NUMERIC:
            for _ in range(1 + bool(flags & 0x800)):  # a complex one has two parts
                stored, n_bytes, _ = self._element(_BYTES)
                if n_bytes != count * _BYTES[stored]:
                    self.refuse(f"{where} has {n_bytes} bytes for {count} numbers")
        elif kind == _CHAR:
            _, n_bytes, _ = self._element(_TEXT_BYTES)
            if count > max(n_bytes, _MOST_SPACES if not n_bytes else 0):
                self.refuse(f"{where} has {n_bytes} bytes for {count} letters")
        elif kind == _SPARSE:
            for _ in range(3 + bool(flags & 0x800)):
                self._element(_BYTES)
        elif kind in (_CELL, _STRUCT):
            self._check_members(kind, count, where, depth)
        else:
            self.refuse(f"{where} is of the unknown kind {kind}")

    def _check_members(self, kind: int, count: int, where: str, depth: int) -> None:
        fields = [""]
        if kind == _STRUCT:
            _, n_bytes, content = self._element((5, 6), most=4)
            length = self._numbers(4, content)[0] if n_bytes == 4 else 0
            _, n_bytes, content = self._element((1,), most=2**20)
            if not length or n_bytes % length:
                self.refuse(f"{where} names its fields with {n_bytes} bytes, {length} each")
            fields = [content[i : i + length].split(b"\0")[0].decode("latin1") for i in range(0, n_bytes, length)]
        if count * len(fields) > self.left // 8:
            self.refuse(f"{where} claims {count} entries of {len(fields)} fields in {self.left} bytes")
        for i in range(count):
            for each in fields:
                inner, n_bytes = struct.unpack(self._order + "II", self.take(8))
                if inner != _MATRIX:
                    self.refuse(f"an element of type {inner} stands where an array of {where} should")
                if n_bytes:
                    self.check(None, f"{where}.{each}" if each else f"{where}[{i}]", depth + 1)

    def _refuse_object(self, where: str) -> NoReturn:
        raise DataError(
            f"{self._path.name}: {where} holds a MATLAB function or object. Save numbers, text, structs and cells only."
        )
