"""Functions of text."""

from typing import TYPE_CHECKING

from dsl.functions.limits import always
from dsl.polars.expressions import choose, to_int
from dsl.regex import compile_pattern, extractor, finder, problem
from dsl.row.scalar.text import DECIMAL, INTEGER, MAX_TEXT
from dsl.signature import Example, Function

if TYPE_CHECKING:
    import polars as pl


def _not_empty(part: str) -> str | None:
    return None if part else "the text to look for is empty"


def _one_character(fill: str) -> str | None:
    return None if len(fill) == 1 else f"one character is needed, not {len(fill)}"


def _replaced(text: "pl.Expr", old: str, new: str, growth: int) -> "pl.Expr":
    replaced = text.str.replace_all(old, new, literal=True)
    if growth <= 0:
        return replaced
    length = to_int(text.str.len_chars()) + to_int(text.str.count_matches(old, literal=True)) * growth
    return choose((length <= MAX_TEXT, replaced))


def _parsed_int(text: "pl.Expr") -> "pl.Expr":
    stripped = text.str.strip_chars()
    digits = stripped.str.strip_chars_start("+-").str.strip_chars_start("0")
    short = choose((digits == "", _text("0")), (digits != "", digits))
    signed = choose((stripped.str.starts_with("-"), "-" + short), (~stripped.str.starts_with("-"), short))
    return choose((stripped.str.contains(rf"\A{INTEGER}\z"), to_int(signed)))


def _parsed_float(text: "pl.Expr") -> "pl.Expr":
    import polars as pl

    stripped = text.str.strip_chars()
    return choose((stripped.str.contains(rf"\A(?:{DECIMAL})\z"), stripped.cast(pl.Float64, strict=False)))


def _text(value: str) -> "pl.Expr":
    import polars as pl

    return pl.lit(value)


def _written(x: "pl.Expr") -> "pl.Expr":
    import polars as pl

    return x.cast(pl.String)


TEXT = (
    Function(
        signature="lower(text: str) -> str",
        section="text",
        doc="Lower case by Unicode's full mapping.",
        examples=(Example("lower('Straße A')", "straße a"),),
        row="{text}.lower()",
        columns=lambda text: text.str.to_lowercase(),
    ),
    Function(
        signature="upper(text: str) -> str",
        section="text",
        doc="Upper case by Unicode's full mapping.",
        examples=(Example("upper('straße')", "STRASSE"),),
        row="{text}.upper()",
        columns=lambda text: text.str.to_uppercase(),
    ),
    Function(
        signature="strip(text: str) -> str",
        section="text",
        doc="Without the white space (Unicode's White_Space) at either end.",
        examples=(Example("strip('  a b\\n')", "a b"), Example("strip('\\u3000')", "")),
        row="{text}.strip(WHITESPACE)",
        columns=lambda text: text.str.strip_chars(),
    ),
    Function(
        signature="length(text: str) -> int",
        section="text",
        doc="Number of Unicode characters (code points).",
        examples=(Example("length('né')", 2), Example("length('')", 0)),
        row="len({text})",
        columns=lambda text: to_int(text.str.len_chars()),
        bounds=lambda text: (0, 2**32),
    ),
    Function(
        signature="contains(text: str, part: str) -> bool",
        section="text",
        doc="Whether part occurs in text, exactly as written; the empty part always does.",
        examples=(Example("contains('Chicago', 'cago')", True), Example("contains('a', '.')", False)),
        row="({part} in {text})",
        columns=lambda text, part: text.str.contains(part, literal=True),
    ),
    Function(
        signature="starts_with(text: str, part: str) -> bool",
        section="text",
        doc="Whether text begins with part.",
        examples=(Example("starts_with('N14228', 'N')", True), Example("starts_with('', 'N')", False)),
        row="{text}.startswith({part})",
        columns=lambda text, part: text.str.starts_with(part),
    ),
    Function(
        signature="ends_with(text: str, part: str) -> bool",
        section="text",
        doc="Whether text ends with part.",
        examples=(Example("ends_with('N142UA', 'UA')", True), Example("ends_with('N142UA', 'ua')", False)),
        row="{text}.endswith({part})",
        columns=lambda text, part: text.str.ends_with(part),
    ),
    Function(
        signature="count(text: str, part: constant[str]) -> int",
        section="text",
        doc="How often part occurs in text, exactly as written, counted from the left without overlap.",
        examples=(
            Example("count('a, b, c', ',')", 2),
            Example("count('aaa', 'aa')", 1),
            Example("count(row.x, ' ')", None, {"x": None}),
        ),
        row="{text}.count({part})",
        columns=lambda text, part: to_int(text.str.count_matches(part, literal=True)),
        bind=lambda part: {"part": part},
        checks={"part": _not_empty},
        bounds=lambda *_: (0, 2**32),
    ),
    Function(
        signature="slice(text: str, start: constant[int], length: constant[int]) -> str",
        section="text",
        doc=(
            "The length characters from position start, counted from 0; a start below 0 counts from the end, so -1 is "
            "the last character. Where text ends sooner there are fewer."
        ),
        examples=(
            Example("slice('N14228', 0, 3)", "N14"),
            Example("slice('N142UA', -2, 2)", "UA"),
            Example("slice('né', 1, 5)", "é"),
            Example("slice('', 0, 3)", ""),
        ),
        row="{text}[{place}]",
        columns=lambda text, start, length, place: text.str.slice(start, length),
        bind=lambda start, length: {
            "place": slice(start, start + length if start >= 0 or start + length < 0 else None)
        },
        ranges={"start": (-MAX_TEXT, MAX_TEXT), "length": (0, MAX_TEXT)},
    ),
    Function(
        signature="replace(text: str, old: constant[str], new: constant[str]) -> str",
        section="text",
        doc="text with every old, exactly as written, replaced by new; null where that has over 65,536 characters.",
        examples=(
            Example("replace('LGA-JFK', '-', ' to ')", "LGA to JFK"),
            Example("replace('a.b', '.', '')", "ab"),
            Example("replace(row.x, 'a', 'b')", None, {"x": None}),
        ),
        row="replace_all({text}, {old}, {new}, {growth})",
        columns=_replaced,
        bind=lambda old, new: {"old": old, "new": new, "growth": len(new) - len(old)},
        checks={"old": _not_empty},
        partial=always,
    ),
    Function(
        signature="remove_prefix(text: str, part: str) -> str",
        section="text",
        doc="text without part at its beginning, once; text itself where it does not begin so.",
        examples=(
            Example("remove_prefix('N14228', 'N')", "14228"),
            Example("remove_prefix('EWR', 'N')", "EWR"),
        ),
        row="{text}.removeprefix({part})",
        columns=lambda text, part: text.str.strip_prefix(part),
    ),
    Function(
        signature="remove_suffix(text: str, part: str) -> str",
        section="text",
        doc="text without part at its end, once; text itself where it does not end so.",
        examples=(Example("remove_suffix('12 kg', ' kg')", "12"), Example("remove_suffix('', 'kg')", "")),
        row="{text}.removesuffix({part})",
        columns=lambda text, part: text.str.strip_suffix(part),
    ),
    Function(
        signature="concat(first: str, *others: str) -> str",
        section="text",
        doc="The texts one after another; null where any is null or the whole has over 65,536 characters.",
        examples=(
            Example("concat('LGA', '-', 'JFK')", "LGA-JFK"),
            Example("concat(row.x, 'JFK')", None, {"x": None}),
        ),
        row=f"({{first}} + {{others}} if len({{first}}) + len({{others}}) <= {MAX_TEXT} else None)",
        columns=lambda first, others: choose(
            (to_int(first.str.len_chars()) + to_int(others.str.len_chars()) <= MAX_TEXT, first + others)
        ),
        partial=always,
        repeats=True,
    ),
    Function(
        signature="pad_start(text: str, width: constant[int], fill: constant[str] = ' ') -> str",
        section="text",
        doc="text made at least width (at most 1000) characters long by putting the character fill before it.",
        examples=(Example("pad_start('7', 3, '0')", "007"), Example("pad_start('1234', 3, '0')", "1234")),
        row="{text}.rjust({width}, {fill})",
        columns=lambda text, width, fill: text.str.pad_start(width, fill),
        bind=lambda width, fill: {"width": width, "fill": fill},
        ranges={"width": (0, 1000)},
        checks={"fill": _one_character},
    ),
    Function(
        signature="pad_end(text: str, width: constant[int], fill: constant[str] = ' ') -> str",
        section="text",
        doc="text made at least width (at most 1000) characters long by putting the character fill after it.",
        examples=(Example("pad_end('7', 3, '-')", "7--"), Example("pad_end(row.x, 3)", None, {"x": None})),
        row="{text}.ljust({width}, {fill})",
        columns=lambda text, width, fill: text.str.pad_end(width, fill),
        bind=lambda width, fill: {"width": width, "fill": fill},
        ranges={"width": (0, 1000)},
        checks={"fill": _one_character},
    ),
    Function(
        signature="matches(text: str, pattern: constant[str]) -> bool",
        section="text",
        doc="Whether the pattern (see above) is found in text; anywhere, unless it begins with ^ or ends with $.",
        examples=(
            Example("matches('N14228', '^N[0-9]+$')", True),
            Example("matches('N142UA', '^N[0-9]+$')", False),
            Example("matches('gate B 12', '[A-Z] ?[0-9]')", True),
            Example("matches(row.x, 'a')", None, {"x": None}),
        ),
        row="{search}({text})",
        columns=lambda text, pattern, search: text.str.contains(compile_pattern(pattern).source),
        bind=lambda pattern: {"search": finder(pattern)},
        checks={"pattern": problem},
    ),
    Function(
        signature="extract(text: str, pattern: constant[str]) -> str",
        section="text",
        doc=(
            "What the brackets of the pattern (see above) hold where it is first found in text; all that is found if "
            "it has none. Null where it is not found."
        ),
        examples=(
            Example("extract('gate B12', '([0-9]+)')", "12"),
            Example("extract('Chicago, IL', ', ([A-Z]{2})$')", "IL"),
            Example("extract('B12', '[A-Z][0-9]')", "B1"),
            Example("extract('gate', '[0-9]')", None),
        ),
        row="{search}({text})",
        columns=lambda text, pattern, search: text.str.extract(
            compile_pattern(pattern).source, compile_pattern(pattern).group
        ),
        bind=lambda pattern: {"search": extractor(pattern)},
        checks={"pattern": problem},
        partial=always,
    ),
    Function(
        signature="to_int(text: str) -> int",
        section="text",
        doc=(
            "The whole number that text writes in digits 0 to 9, with a sign or not, white space around it ignored; "
            "null for any other text and beyond 64 bits."
        ),
        examples=(
            Example("to_int(' 0042 ')", 42),
            Example("to_int('-7')", -7),
            Example("to_int('7.0')", None),
            Example("to_int('9223372036854775808')", None),
        ),
        row="parse_int({text})",
        columns=_parsed_int,
        partial=always,
        repeats=True,
    ),
    Function(
        signature="to_float(text: str) -> float",
        section="text",
        doc=(
            "The number that text writes with digits 0 to 9, a point and an exponent (1, -0.5, .5, 1e6), white space "
            "around it ignored; null for any other text, and beyond the largest float."
        ),
        examples=(
            Example("to_float(' 1.5e3 ')", 1500.0),
            Example("to_float('1,5')", None),
            Example("to_float('nan')", None),
            Example("to_float('1e999')", None),
        ),
        row="parse_float({text})",
        columns=_parsed_float,
        partial=always,
        may_be_non_finite=True,
        repeats=True,
    ),
    Function(
        signature="str(x: int) -> str",
        section="text",
        doc="The number in decimal digits.",
        examples=(Example("str(-42)", "-42"), Example("str(row.x)", None, {"x": None})),
        row="str({x})",
        columns=_written,
    ),
    Function(
        signature="str(x: bool) -> str",
        section="text",
        doc="'true' or 'false'.",
        examples=(Example("str(row.x > 2)", "true", {"x": 3}), Example("str(row.x > 2)", "false", {"x": 1})),
        row="('true' if {x} else 'false')",
        columns=lambda x: choose((x, _text("true")), (~x, _text("false"))),
        repeats=True,
    ),
)
