"""Functions of text."""

from dsl.functions.expressions import to_int
from dsl.signature import Example, Function

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
)
