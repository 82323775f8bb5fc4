"""Reads UBJSON as XGBoost writes it, without XGBoost; a file whose lengths do not match is refused."""

import struct
from typing import Any

import numpy as np

__all__ = ["read_ubjson"]

_DEEPEST = 20  # XGBoost's own models are half as deep
_NUMBERS = {"U": ">B", "i": ">b", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}


def read_ubjson(content: bytes) -> Any:
    """The document: dictionaries, lists, texts, numbers, and arrays of NumPy where the file says a type.

    Raises ValueError for anything else than what XGBoost's writer makes.
    """
    reader = _Reader(content)
    found = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise ValueError(f"{len(content) - reader.at} bytes follow the document")
    return found


class _Reader:
    def __init__(self, content: bytes):
        self.content = content
        self.at = 0

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.content) - self.at:
            raise ValueError(f"it ends before the {size} bytes that byte {self.at} announces")
        self.at += size
        return self.content[self.at - size : self.at]

    def value(self, kind: bytes, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deep")
        match kind:
            case b"{":
                return self.members(depth)
            case b"[":
                return self.items(depth)
            case b"S":
                return self.text()
            case b"T" | b"F":
                return kind == b"T"
            case b"Z":
                return None
        return self.number(kind)

    def number(self, kind: bytes) -> Any:
        form = _NUMBERS.get(kind.decode("latin-1"))
        if form is None:
            raise ValueError(f"byte {self.at} is of no type that XGBoost writes: {kind!r}")
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def count(self) -> int:
        if self.take(1) != b"L":
            raise ValueError(f"there is no length at byte {self.at}")
        return int(struct.unpack(">q", self.take(8))[0])

    def text(self) -> str:
        return self.take(self.count()).decode()

    def members(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.content[self.at : self.at + 1] != b"}":
            name = self.text()
            if name in found:
                raise ValueError(f"{name!r:.60} is there twice")
            found[name] = self.value(self.take(1), depth + 1)
        self.take(1)
        return found

    def items(self, depth: int) -> Any:
        mark = self.take(1)
        if mark == b"$":
            form = _NUMBERS.get(self.take(1).decode("latin-1"))
            if form is None or self.take(1) != b"#":
                raise ValueError(f"the array at byte {self.at} is of no type that XGBoost writes")
            type_ = np.dtype(form)
            count = self.count()
            return np.frombuffer(self.take(count * type_.itemsize), type_)
        if mark != b"#":
            raise ValueError(f"the list at byte {self.at} does not say its length")
        count = self.count()
        if count > len(self.content) - self.at:
            raise ValueError(f"the list at byte {self.at} says that it has {count} values")
        return [self.value(self.take(1), depth + 1) for _ in range(count)]
