"""Parses text to Python's syntax tree, within limits. Nothing in it is ever run as Python.

Only parses: dsl/checker/check.py decides what the tree may contain.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from dsl.errors import LanguageError

MAX_LENGTH = 4_000
MAX_NODES = 1_000
MAX_DEPTH = 40
MAX_TREE_NODES = 5_000
MAX_TREE_DEPTH = 2 * MAX_DEPTH
"""Levels of a checked tree, with all other expressions that were put into it."""


_TOKEN = re.compile(
    r"""(?P<text>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|\#[^\n]*|(?P<sign>[-+*/%&|^@!<>:=]+)|\w+|\S"""
)
_ELSEWHERE = {
    "===": "==",
    "!==": "!=",
    "<>": "!=",
    "=!": "!=",
    "=>": ">=",
    "=<": "<=",
    "&&": "and",
    "||": "or",
    "!": "not",
}
"""Operators of other languages, and how this one writes them."""


@dataclass(frozen=True)
class Source:
    """An expression's text and the name of its feature; makes errors that point into it."""

    feature: str
    text: str

    def error_at(
        self, line: int, column: int, length: int, message: str, suggestion: str | None = None
    ) -> LanguageError:
        """An error at a position counted from 1 in characters, clipped to the text."""
        lines = self.text.split("\n")
        if line > len(lines):
            line, column = len(lines), len(lines[-1]) + 1
        column = max(1, min(column, len(lines[line - 1]) + 1))
        length = max(1, min(length, len(lines[line - 1]) + 1 - column))
        return LanguageError(self.feature, message, line, column, length, suggestion, self.text)

    def error(self, node: ast.AST, message: str, suggestion: str | None = None) -> LanguageError:
        """An error that marks a node of the tree, up to the end of the line where it starts."""
        # The nodes that are marked are expressions, keywords and the like, which all have a place.
        line, start = self._place(node.lineno, node.col_offset)  # type: ignore[attr-defined]
        end_line, end = self._place(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        length = end - start if end_line == line else len(self.text)
        return self.error_at(line, start, length, message, suggestion)

    def _place(self, line: int, offset: int) -> tuple[int, int]:
        """Line and column from those of the tree: the parsed text has one line more at its top, and offsets count UTF-8
        bytes."""
        text = self.text.split("\n")[line - 2]
        return line - 1, len(text.encode()[:offset].decode(errors="ignore")) + 1


def parse(source: Source) -> ast.expr:
    """The syntax tree of one expression.

    Raises LanguageError where the text is not one expression or is too long, too large or too deep.
    """
    text = source.text
    if len(text) > MAX_LENGTH:
        raise source.error_at(
            1,
            1,
            1,
            f"the expression has {len(text)} characters, more than {MAX_LENGTH}",
            "split it into several features, or compute a part of it in a feature group",
        )
    for line_number, line in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(line, start=1):
            if not (character == "\t" or character.isprintable()):
                raise source.error_at(
                    line_number,
                    column,
                    1,
                    f"the character {character!a} is not allowed in an expression",
                    "inside a text literal write it as an escape, such as \\n or \\u00a0",
                )
    if not text.strip():
        raise source.error_at(1, 1, 1, "the expression is empty", "write one, such as row.distance / 60")
    body = _syntax(source)
    _check_size(source, body)
    return body


def _syntax(source: Source) -> ast.expr:
    """Python's syntax tree of the text in brackets, so that an expression may span several lines."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            body = ast.parse(f"(\n{source.text}\n)", mode="eval").body
    except SyntaxError as error:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raise _syntax_error(source, error) from None
    except (RecursionError, MemoryError):
        raise _too_deep(source) from None
    except ValueError as error:
        raise source.error_at(1, 1, 1, f"this is not an expression: {error}") from None
    if isinstance(body, ast.Tuple):
        raise source.error_at(
            1, 1, len(source.text), "an expression has one value, this has several", "make each a feature"
        )
    if body.lineno == 1:
        raise source.error_at(1, 1, len(source.text), "brackets do not match")
    return body


def _syntax_error(source: Source, error: SyntaxError) -> LanguageError:
    message, suggestion = str(error.msg), None
    line, column = (error.lineno or 2) - 1, error.offset or 1
    if "too many nested" in message:
        return _too_deep(source)
    meant = next(_meant(source), None)
    if meant:
        return meant
    if ("was never closed" in message and line < 1) or "unmatched" in message:
        message, suggestion = "brackets do not match", "check that every ( has its )"
        line, column = _unmatched(source.text)
    elif "invalid escape sequence" in message:
        suggestion = "a backslash is written \\\\"
    elif line > source.text.count("\n") + 1:
        message, suggestion = "the expression stops too early", "something must follow"
    elif message.startswith("invalid syntax"):
        message = message.replace("invalid syntax", "this is not an expression")
    # Python counts the line that was put before the text.
    message = re.sub(r" \(detected at line [0-9]+\)", "", message)
    length = 1
    if error.end_offset and error.end_lineno == error.lineno:
        length = max(1, error.end_offset - (error.offset or 1))
    return source.error_at(line, column, length, message, suggestion)


def _meant(source: Source) -> Iterator[LanguageError]:
    """Suggest a correction for text that is not an expression: a broken escape, an operator of another language, = for
    ==."""
    tokens = list(_TOKEN.finditer(source.text))
    equals = []
    for place, token in enumerate(tokens):
        sign = token["sign"]
        if token["text"] and not _is_literal(token[0]):
            yield _at(
                source,
                token,
                "an escape in this text is not known or stops too early",
                r"a backslash is written \\",
            )
        elif sign in _ELSEWHERE:
            yield _at(source, token, f"{sign} is no operator", f"write {_ELSEWHERE[sign]}")
        elif sign == "=":
            is_keyword = (
                place > 1 and tokens[place - 1][0].isidentifier() and tokens[place - 2][0] in ("(", ",")
            )
            equals.append((is_keyword, token))
        elif sign in (":=", "+=", "-=", "*=", "/="):
            yield _at(source, token, "an expression cannot assign")
    compared = _TOKEN.sub(lambda token: "==" if token["sign"] == "=" else token[0], source.text)
    if equals and _is_expression(compared):
        yield _at(
            source,
            min(equals, key=lambda each: each[0])[1],
            "one = is not a comparison",
            "write == to compare",
        )


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _is_expression(text: str) -> bool:
    try:
        ast.parse(f"(\n{text}\n)", mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _at(source: Source, token: re.Match[str], message: str, suggestion: str | None = None) -> LanguageError:
    """An error that marks a token."""
    before = source.text[: token.start()].split("\n")
    return source.error_at(len(before), len(before[-1]) + 1, len(token[0]), message, suggestion)


def _too_deep(source: Source) -> LanguageError:
    return source.error_at(
        1,
        1,
        len(source.text),
        f"the expression is nested more than {MAX_DEPTH} levels deep",
        "split it into several features",
    )


def _unmatched(text: str) -> tuple[int, int]:
    """Line and column of the first unmatched bracket, treating quotes as plain characters."""
    opened: list[tuple[str, int, int]] = []
    partner = {")": "(", "]": "[", "}": "{"}
    for line, content in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(content, start=1):
            if character in "([{":
                opened.append((character, line, column))
            elif character in partner:
                if not opened or opened[-1][0] != partner[character]:
                    return line, column
                opened.pop()
    return opened[0][1:] if opened else (1, 1)


def _check_size(source: Source, body: ast.expr) -> None:
    """Count nodes and levels without recursion."""
    count = 0
    level: list[ast.expr | ast.keyword] = [body]
    for _ in range(MAX_DEPTH):
        count += len(level)
        if count > MAX_NODES:
            raise source.error_at(
                1,
                1,
                len(source.text),
                f"the expression has more than {MAX_NODES} parts",
                "split it into several features",
            )
        level = [
            child
            for node in level
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.expr | ast.keyword)
        ]
        if not level:
            return
    raise _too_deep(source)
