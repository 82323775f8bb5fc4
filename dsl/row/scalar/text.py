"""Text: Python implementations for one row."""

import re
from hashlib import blake2b

WHITESPACE = "".join(
    map(
        chr,
        [
            *range(0x9, 0xE),
            0x20,
            0x85,
            0xA0,
            0x1680,
            *range(0x2000, 0x200B),
            0x2028,
            0x2029,
            0x202F,
            0x205F,
            0x3000,
        ],
    )
)
"""Unicode's White_Space characters (Python's own strip also removes U+001C to U+001F)."""


MAX_TEXT = 2**16
"""Characters of the longest text that a function returns; a longer one is null, so that texts cannot grow without
end."""

INTEGER = r"[+-]?[0-9]+"
DECIMAL = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_is_integer = re.compile(INTEGER).fullmatch
_is_decimal = re.compile(DECIMAL).fullmatch
_LOW, _HIGH = -(2**63), 2**63 - 1
_LONG = 100


def replace_all(text: str, old: str, new: str, growth: int) -> str | None:
    """Every old in text replaced by new, which is longer by growth; None where that is longer than MAX_TEXT."""
    if growth > 0 and len(text) + text.count(old) * growth > MAX_TEXT:
        return None
    return text.replace(old, new)


def parse_int(text: str) -> int | None:
    """The whole number that a text writes in decimal digits, or None."""
    text = text.strip(WHITESPACE)
    if not _is_integer(text):
        return None
    if len(text) > _LONG:
        # Python refuses to read thousands of digits, even zeros.
        text = ("-" if text[0] == "-" else "") + (text.lstrip("+-").lstrip("0") or "0")
        if len(text) > _LONG:
            return None
    number = int(text)
    return number if _LOW <= number <= _HIGH else None


def parse_float(text: str) -> float | None:
    """The number that a text writes in decimal digits, infinite where it is too large, or None."""
    text = text.strip(WHITESPACE)
    return float(text) if _is_decimal(text) else None


def crossed(first: str, others: str) -> str | None:
    """Both texts around a bar; a bar in the first is written `\\|`, a backslash twice."""
    if "|" in first or "\\" in first:
        first = first.replace("\\", "\\\\").replace("|", "\\|")
    return f"{first}|{others}" if len(first) + len(others) < MAX_TEXT else None


def hash_bucket(text: str, buckets: int) -> int:
    """BLAKE2b (RFC 7693) of the UTF-8 bytes, 8 bytes long, as a little-endian number, modulo buckets."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") % buckets
