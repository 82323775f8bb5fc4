"""Patterns of texts: a regular-expression syntax that both engines read alike and neither can be made slow with.

One row is searched by RE2, columns by the engine of Polars: the time of both grows with the length of the text and no
faster, whatever the pattern. A pattern is parsed here and written anew for them, every character set as plain ranges of
code points, so that both read the same thing; what they could read differently is no part of the syntax.

    pattern  = ["^"] choice ["$"]
    choice   = sequence {"|" sequence}
    sequence = {item [repeat]}
    item     = character | "." | "[" ["^"] ranges "]" | "(" choice ")" | "(?:" choice ")"
    repeat   = "*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}"

Escapes: \\d \\w \\s and \\D \\W \\S (ASCII), \\t \\n \\r, and any punctuation. `.` is every character but a line
feed. One pair of plain brackets may mark what is extracted.
"""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from dsl.errors import GiornataError

MAX_LENGTH = 200
MAX_COUNT = 100
MAX_SIZE = 1000
MAX_RANGES = 10_000
"""Most character ranges in a pattern, repetitions written out: with no more, it compiles in both engines."""

Ranges = tuple[tuple[int, int], ...]
EVERY: Ranges = ((0, 0xD7FF), (0xE000, 0x10FFFF))
"""Every code point that text can have."""


class PatternError(GiornataError):
    """A pattern that is not valid, with a message and the index of the character."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(index, message)
        self.index = index
        self.message = message

    def __str__(self) -> str:
        return f"character {self.index + 1} of the pattern: {self.message}"


@dataclass(frozen=True)
class Characters:
    """One character of a set."""

    ranges: Ranges


@dataclass(frozen=True)
class Sequence:
    """Items one after another."""

    items: tuple["Item", ...]


@dataclass(frozen=True)
class Choice:
    """The first of the branches with which the whole matches."""

    branches: tuple[Sequence, ...]
    is_extracted: bool = False


@dataclass(frozen=True)
class Repeat:
    """An item low to high times, as often as possible; high None is without end."""

    item: "Item"
    low: int
    high: int | None


Item = Characters | Sequence | Choice | Repeat


@dataclass(frozen=True)
class Pattern:
    """A checked pattern: its source for both engines, and the group to extract (0 is all of it)."""

    source: str
    group: int


@cache
def compile_pattern(written: str) -> Pattern:
    """The checked pattern. Raises PatternError where it is none or its automaton could be too large."""
    parser = _Parser(written)
    body = parser.pattern()
    if _size(body) > MAX_SIZE:
        raise PatternError(0, f"with its counts written out, it has more than {MAX_SIZE} characters")
    if _size(body, of_ranges=True) > MAX_RANGES:
        raise PatternError(
            0, f"with its counts written out, its sets have more than {MAX_RANGES} ranges of characters"
        )
    start, end = r"\A" if parser.is_anchored else "", r"\z" if parser.is_ended else ""
    return Pattern(start + _write(body) + end, int(parser.has_group))


def problem(written: str) -> str | None:
    """Message and position of the mistake in a pattern, or None."""
    try:
        compile_pattern(written)
    except PatternError as error:
        return str(error)
    return None


def finder(written: str) -> Callable[[str], bool]:
    """Whether the pattern is found in a text."""
    search, anywhere = _engine(compile_pattern(written).source, never_capture=True)

    def is_found(text: str) -> bool:
        encoded = text.encode()
        found: bool = search(anywhere, encoded, 0, len(encoded))[0][0] >= 0
        return found

    return is_found


def extractor(written: str) -> Callable[[str], str | None]:
    """The extracted text of a pattern's first match, or None without a match or without the bracketed group in it."""
    pattern = compile_pattern(written)
    group = pattern.group
    search, anywhere = _engine(pattern.source)

    def extracted(text: str) -> str | None:
        encoded = text.encode()
        start, end = search(anywhere, encoded, 0, len(encoded))[group]
        return encoded[start:end].decode() if start >= 0 else None

    return extracted


def _engine(source: str, *, never_capture: bool = False) -> tuple[Callable[..., Any], object]:
    """RE2's own search over UTF-8, which gives the position of each group in bytes, and its constant for "unanchored".

    The package's search for Python texts takes three times as long, so its internals are called here; the package is
    pinned for that.
    """
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_capture = never_capture
    return re2.compile(source, options)._regexp.Match, re2._Anchor.UNANCHORED


class _Parser:
    """Reads a pattern from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.index = 0
        self.has_group = False
        self.is_anchored = self.is_ended = False

    def pattern(self) -> Item:
        if len(self.text) > MAX_LENGTH:
            raise PatternError(MAX_LENGTH, f"a pattern has at most {MAX_LENGTH} characters")
        for index, character in enumerate(self.text):
            if "\ud800" <= character <= "\udfff":
                raise PatternError(index, f"{character!a} is half a character, which no text holds")
        self.is_anchored = self.take("^")
        body = self.choice(False)
        self.is_ended = self.take("$")
        if self.index < len(self.text):
            what = "no ( is open" if self.peek() == ")" else "$ stands only at the end of the pattern"
            raise PatternError(self.index if self.peek() == ")" else self.index - 1, what)
        if (self.is_anchored or self.is_ended) and len(body.branches) > 1:
            raise PatternError(0, "put the alternatives in brackets, such as ^(?:a|b)$")
        return body

    def peek(self) -> str:
        return self.text[self.index : self.index + 1]

    def take(self, expected: str) -> bool:
        if not self.text.startswith(expected, self.index):
            return False
        self.index += len(expected)
        return True

    def choice(self, is_extracted: bool) -> Choice:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        return Choice(tuple(branches), is_extracted)

    def sequence(self) -> Sequence:
        items: list[Item] = []
        while self.peek() not in ("", "|", ")", "$"):
            items.append(self.repeated(self.item()))
        return Sequence(tuple(items))

    def item(self) -> Item:
        start = self.index
        character = self.peek()
        self.index += 1
        match character:
            case ".":
                return Characters(_other_than(((10, 10),)))
            case "[":
                return self.set(start)
            case "(":
                return self.group(start)
            case "\\":
                return Characters(self.escape(start))
            case "^":
                raise PatternError(start, "^ stands only at the beginning of the pattern")
            case "*" | "+" | "?" | "{" | "}":
                raise PatternError(start, f"nothing to repeat; the character itself is \\{character}")
            case "]":
                raise PatternError(start, "no [ is open; the character itself is \\]")
        return Characters(((ord(character), ord(character)),))

    def group(self, start: int) -> Item:
        is_plain = self.take("?:")
        if not is_plain:
            if self.peek() == "?":
                raise PatternError(start, "of the (?…) forms only (?:…) is part of patterns")
            if self.has_group:
                raise PatternError(
                    start, "only one pair of brackets can be extracted; write the others (?:…)"
                )
            self.has_group = True
        body = self.choice(not is_plain)
        if not self.take(")"):
            what = "$ stands only at the end of the pattern" if self.peek() == "$" else "this ( is not closed"
            raise PatternError(self.index if self.peek() == "$" else start, what)
        return body

    def escape(self, start: int) -> Ranges:
        character = self.peek()
        self.index += 1
        if character in _CLASSES:
            return _CLASSES[character]
        if character and character.lower() in _CLASSES:
            return _other_than(_CLASSES[character.lower()])
        if character in _CONTROLS:
            return ((_CONTROLS[character], _CONTROLS[character]),)
        if character and character in string.punctuation:
            return ((ord(character), ord(character)),)
        raise PatternError(start, f"\\{character} is not part of patterns")

    def set(self, start: int) -> Characters:
        is_negated = self.take("^")
        ranges: list[tuple[int, int]] = []
        while not self.take("]"):
            at = self.index
            first = self.member(start)
            if self.peek() == "-" and self.text[self.index + 1 : self.index + 2] not in ("]", ""):
                self.index += 1
                last = self.member(start)
                if len(first) > 1 or len(last) > 1 or first[0][0] != first[0][1] or last[0][0] != last[0][1]:
                    raise PatternError(at, "a range goes from one character to another")
                if first[0][0] > last[0][0]:
                    raise PatternError(at, "the range is the wrong way round")
                first = _meet(((first[0][0], last[0][0]),), EVERY)
            ranges += first
        found = _other_than(tuple(ranges)) if is_negated else _merged(ranges)
        if not found:
            raise PatternError(start, "no character is in this set")
        return Characters(found)

    def member(self, start: int) -> Ranges:
        at, character = self.index, self.peek()
        if not character:
            raise PatternError(start, "this [ is not closed")
        self.index += 1
        if character == "\\":
            return self.escape(at)
        if character == "[":
            raise PatternError(at, "inside a set the character itself is written \\[")
        return ((ord(character), ord(character)),)

    def repeated(self, item: Item) -> Item:
        start = self.index
        low = 1
        high: int | None = 1
        if self.take("*"):
            low, high = 0, None
        elif self.take("+"):
            low, high = 1, None
        elif self.take("?"):
            low, high = 0, 1
        elif self.peek() == "{":
            low, high = self.counts(start)
        else:
            return item
        if self.peek() in ("*", "+", "?", "{") and self.peek():
            raise PatternError(self.index, "a repeat cannot be repeated, nor be made lazy; put it in (?:…)")
        if _is_empty(item):
            raise PatternError(start, "what is repeated can be empty")
        if _has_group(item):
            raise PatternError(
                start, "what is extracted cannot be repeated; put the repeat inside the brackets"
            )
        return Repeat(item, low, high)

    def counts(self, start: int) -> tuple[int, int | None]:
        found = re.compile(r"\{([0-9]{1,3})(,([0-9]{1,3})?)?\}").match(self.text, self.index)
        if not found:
            raise PatternError(start, "a count is written {m}, {m,} or {m,n}; the character itself is \\{")
        self.index = found.end()
        low = int(found[1])
        high = low if not found[2] else int(found[3]) if found[3] else None
        if max(low, high or 0) > MAX_COUNT:
            raise PatternError(start, f"a count is at most {MAX_COUNT}")
        if high is not None and (high < low or high == 0):
            raise PatternError(start, "the counts are the wrong way round, or zero")
        return low, high


_CLASSES: dict[str, Ranges] = {
    "d": ((48, 57),),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "s": ((9, 13), (32, 32)),
}
_CONTROLS = {"t": 9, "n": 10, "r": 13}


def _merged(ranges: "list[tuple[int, int]] | Ranges") -> Ranges:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _meet(left: Ranges, right: Ranges) -> Ranges:
    """The characters in both."""
    return tuple((max(a, c), min(b, d)) for a, b in left for c, d in right if max(a, c) <= min(b, d))


def _other_than(ranges: Ranges) -> Ranges:
    """Every character that is not in ranges."""
    found: Ranges = EVERY
    for low, high in ranges:
        found = _meet(found, ((0, low - 1), (high + 1, 0x10FFFF)))
    return found


def _is_empty(item: Item) -> bool:
    """Whether an item can match the empty text."""
    match item:
        case Characters():
            return False
        case Sequence():
            return all(_is_empty(part) for part in item.items)
        case Choice():
            return any(_is_empty(branch) for branch in item.branches)
        case Repeat():
            return item.low == 0 or _is_empty(item.item)


def _has_group(item: Item) -> bool:
    match item:
        case Characters():
            return False
        case Sequence():
            return any(_has_group(part) for part in item.items)
        case Choice():
            return item.is_extracted or any(_has_group(branch) for branch in item.branches)
        case Repeat():
            return _has_group(item.item)


def _size(item: Item, *, of_ranges: bool = False) -> int:
    """Characters of an item, or the ranges of their sets, when its counts are written out."""
    match item:
        case Characters():
            return len(item.ranges) if of_ranges else 1
        case Sequence():
            return sum(_size(part, of_ranges=of_ranges) for part in item.items)
        case Choice():
            return sum(_size(branch, of_ranges=of_ranges) for branch in item.branches)
        case Repeat():
            return _size(item.item, of_ranges=of_ranges) * max(item.low, item.high or 1)


def _write(item: Item) -> str:
    """The source of an item."""
    match item:
        case Characters():
            if len(item.ranges) == 1 and item.ranges[0][0] == item.ranges[0][1]:
                return _character(item.ranges[0][0])
            return f"[{''.join(f'{_character(low)}-{_character(high)}' for low, high in item.ranges)}]"
        case Sequence():
            return "".join(_write(part) for part in item.items)
        case Choice():
            body = "|".join(_write(branch) for branch in item.branches)
            return f"({body})" if item.is_extracted else f"(?:{body})"
        case Repeat():
            high = "" if item.high is None else item.high
            return f"{_write(item.item)}{{{item.low},{high}}}"


def _character(point: int) -> str:
    character = chr(point)
    return character if character.isascii() and character.isalnum() else f"\\x{{{point:x}}}"
