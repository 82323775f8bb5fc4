"""Patterns of texts: a regular-expression syntax that both engines read alike and neither can be made slow with.

Python's `re` tries alternatives one after another, so a careless pattern can take years on a short text; the engine
behind Polars never does. A pattern is therefore parsed here, its steps are bounded before it is used, and it is
written anew for each engine, every character set as plain ranges of code points, so that both read the same thing.

    pattern  = ["^"] choice ["$"]
    choice   = sequence {"|" sequence}
    sequence = {item [repeat]}
    item     = character | "." | "[" ["^"] ranges "]" | "(" choice ")" | "(?:" choice ")"
    repeat   = "*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}"

Escapes: \\d \\w \\s and \\D \\W \\S (ASCII), \\t \\n \\r, and any punctuation. `.` is every character but a line
feed. One pair of plain brackets may mark what is extracted.

Steps are bounded by looking one character ahead. Where a repeat may go on or stop, or several alternatives begin, the
next character mostly decides; where it does not, every way may have to be tried, and the ways multiply.
"""

import re
import string
from dataclasses import dataclass
from functools import cache

MAX_LENGTH = 200
MAX_COUNT = 100
MAX_SIZE = 1000
MAX_SEARCHED = 500
"""Characters of the longest text in which patterns are looked for."""
MAX_WAYS = 32 * MAX_SEARCHED

Ranges = tuple[tuple[int, int], ...]
EVERY: Ranges = ((0, 0xD7FF), (0xE000, 0x10FFFF))
"""Every code point that text can have."""


class PatternError(Exception):
    """What is wrong with a pattern, and the index of the character where."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(index, message)
        self.index = index
        self.message = message


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
    """An item low to high times, as often as possible; high None is without end. index: where it is written."""

    item: "Item"
    low: int
    high: int | None
    index: int


Item = Characters | Sequence | Choice | Repeat


@dataclass(frozen=True)
class Pattern:
    """A checked pattern: its source for Python's `re`, for Polars, and the group to extract (0 is all of it)."""

    python: str
    polars: str
    group: int


@cache
def compile_pattern(written: str) -> Pattern:
    """The checked pattern. Raises PatternError where it is none or may take too many steps."""
    parser = _Parser(written)
    body = parser.pattern()
    ways = _ways(body, ())
    if not parser.is_anchored:
        ways *= MAX_SEARCHED
    if ways > MAX_WAYS:
        raise PatternError(
            0,
            "it can match in too many ways; begin it with ^, or let alternatives and what follows a repeat begin "
            "with other characters",
        )
    if _size(body) > MAX_SIZE:
        raise PatternError(0, f"written out without counts it has more than {MAX_SIZE} characters")
    start, end = "^" if parser.is_anchored else "", "$" if parser.is_ended else ""
    return Pattern(
        start.replace("^", r"\A") + _write(body, "\\U{:08x}") + end.replace("$", r"\Z"),
        start.replace("^", r"\A") + _write(body, "\\x{{{:x}}}") + end.replace("$", r"\z"),
        int(parser.has_group),
    )


def problem(written: str) -> str | None:
    """What is wrong with a pattern and where, or None."""
    try:
        compile_pattern(written)
    except PatternError as error:
        return f"character {error.index + 1} of the pattern: {error.message}"
    return None


def searcher(written: str) -> "re.Pattern[str]":
    """The pattern for Python."""
    return re.compile(compile_pattern(written).python)


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
        return Repeat(item, low, high, start)

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


def _first(item: Item, follow: Ranges) -> Ranges:
    """The characters with which an item and what follows it can begin."""
    match item:
        case Characters():
            return item.ranges
        case Sequence():
            for part in reversed(item.items):
                follow = _first(part, follow)
            return follow
        case Choice():
            return _merged([pair for branch in item.branches for pair in _first(branch, follow)])
        case Repeat():
            begin = _first(item.item, ())
            return _merged([*begin, *follow]) if item.low == 0 else begin


def _ways(item: Item, follow: Ranges) -> int:
    """A bound of the ways in which an item can match from one place, held at a large number."""
    ways = 1
    match item:
        case Sequence():
            for part in reversed(item.items):
                ways *= _ways(part, follow)
                follow = _first(part, follow)
        case Choice():
            each = [_ways(branch, follow) for branch in item.branches]
            is_decided = not _overlap([_first(branch, follow) for branch in item.branches])
            ways = max(each) if is_decided else sum(each)
        case Repeat():
            begin = _first(item.item, ())
            inner = _ways(item.item, _merged([*begin, *follow]))
            most = MAX_SEARCHED if item.high is None else item.high
            ways = inner ** min(most, 32) if inner > 1 else 1
            if item.low != item.high and _meet(begin, follow):
                ways *= most - item.low + 1
    return min(ways, MAX_WAYS * MAX_SEARCHED)


def _overlap(sets: list[Ranges]) -> bool:
    return any(_meet(left, right) for index, left in enumerate(sets) for right in sets[:index])


def _size(item: Item) -> int:
    """Characters of an item when its counts are written out."""
    match item:
        case Characters():
            return 1
        case Sequence():
            return sum(_size(part) for part in item.items)
        case Choice():
            return sum(_size(branch) for branch in item.branches)
        case Repeat():
            return _size(item.item) * max(item.low, item.high or 1)


def _write(item: Item, code: str) -> str:
    """The source of an item; code formats a code point that is no ASCII letter or digit."""
    match item:
        case Characters():
            if len(item.ranges) == 1 and item.ranges[0][0] == item.ranges[0][1]:
                return _character(item.ranges[0][0], code)
            pairs = [f"{_character(low, code)}-{_character(high, code)}" for low, high in item.ranges]
            return f"[{''.join(pairs)}]"
        case Sequence():
            return "".join(_write(part, code) for part in item.items)
        case Choice():
            body = "|".join(_write(branch, code) for branch in item.branches)
            return f"({body})" if item.is_extracted else f"(?:{body})"
        case Repeat():
            high = "" if item.high is None else item.high
            return f"{_write(item.item, code)}{{{item.low},{high}}}"


def _character(point: int, code: str) -> str:
    character = chr(point)
    return character if character.isascii() and character.isalnum() else code.format(point)
