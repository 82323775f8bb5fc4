"""Reads YAML as plain data that remembers the position of every key and value in the file.

It accepts a subset of YAML on purpose: no tags, anchors, aliases or merge keys, no duplicate keys, and plain scalars
mean what they say (`on`, `yes` and `12:30` are text, `2013-10-31` is text).
"""

import math
import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import yaml

from giornata.documents.text_files import read_text
from giornata.errors import DocumentErrors, Problem

Place = tuple[Hashable, ...]

MAX_DEPTH = 30

_WHOLE = 2**63
"""Whole numbers are below this and not below its negative, as in Hive, Cassandra and Polars."""


class _Composer(yaml.SafeLoader):
    """PyYAML's safe loader without aliases and tags, with the scalars of YAML 1.2 and a bounded depth."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # its stubs leave the parser's out
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.composer.ComposerError(
                None,
                None,
                "anchors and aliases (& and *) are not allowed: write the value out",
                event.start_mark,
            )
        if getattr(event, "tag", None):
            raise yaml.composer.ComposerError(None, None, "tags (!) are not allowed", event.start_mark)
        if self.depth == MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Composer.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"~|null|", ["~", "n", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Composer.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), list(_first)
    )


_HALF = re.compile("[\ud800-\udfff]")


def _whole(text: str) -> int:
    # Digits are counted first: Python refuses to read thousands of them.
    if len(text) > 20 or not -_WHOLE <= int(text) < _WHOLE:
        raise ValueError("a whole number lies between -2^63 and 2^63 - 1")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {value}")
    return value


def _text(text: str) -> str:
    """The text, with two halves of a surrogate pair, as JSON escapes an emoji, joined to one character."""
    if not _HALF.search(text):
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise ValueError("half of a character (a lone surrogate, \\ud800 to \\udfff) is no text") from None


_CONSTRUCT: dict[str, Callable[[str], object]] = {
    "tag:yaml.org,2002:bool": lambda text: text == "true",
    "tag:yaml.org,2002:null": lambda text: None,
    "tag:yaml.org,2002:int": _whole,
    "tag:yaml.org,2002:float": _number,
}


class YamlFile:
    """One YAML file: its data, and a Problem for any place in it.

    `data` is a dict, or None if `problems` says that the file cannot be read as a mapping. A place in it is the path of
    keys and list indexes, such as ("label", "value") or ("expect", 0). The values at the places `unread` are None,
    because they cannot be read as `problems` says.
    """

    def __init__(self, name: str, text: str):
        self.name = name
        self.text = text
        self.lines = text.splitlines()
        self.data: dict[Any, Any] | None = None
        self.problems: list[Problem] = []
        self.unread: set[Place] = set()
        self._keys: dict[Place, yaml.ScalarNode] = {}
        self._values: dict[Place, yaml.Node] = {}
        self._read()

    @classmethod
    def read(cls, path: Path, name: str) -> "YamlFile":
        """Read `path`; `name` is its name in messages."""
        try:
            return cls(name, read_text(path, name))
        except DocumentErrors as errors:
            return cls.broken(name, *errors.problems)

    @classmethod
    def broken(cls, name: str, *problems: Problem) -> "YamlFile":
        """A file without content because of `problems`."""
        file = cls(name, "")
        file.problems = list(problems)
        return file

    def _read(self) -> None:
        loader = None
        try:
            loader = _Composer(self.text)
            root = loader.get_single_node()
        except yaml.reader.ReaderError as error:
            before = self.text[: error.position]
            line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
            self.problems.append(self.problem_at(line, column, 1, "YAML does not allow this character"))
            return
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self.problems.append(self.problem_at(line, column, 1, self._syntax_message(error)))
            return
        except (ValueError, OverflowError):
            # PyYAML leaves it to Python to refuse characters beyond Unicode and versions of thousands of digits.
            line, column = (loader.line + 1, loader.column + 1) if loader else (1, 1)
            self.problems.append(
                self.problem_at(line, column, 1, "not valid YAML: no such character or number")
            )
            return
        finally:
            if loader:
                loader.dispose()
        if root is None:
            self.problems.append(Problem(self.name, 1, 1, "the file is empty"))
            return
        if not isinstance(root, yaml.MappingNode):
            self.problems.append(
                self.problem_at(1, 1, 1, "a document is a mapping: lines of the form 'key: value'")
            )
            return
        self.data = self._plain(root, ())

    def _syntax_message(self, error: yaml.MarkedYAMLError) -> str:
        message = error.problem or error.context or "not valid YAML"
        if "'\\t'" in message:
            return "YAML does not allow tabs here: indent with spaces"
        if message == "mapping values are not allowed here":
            return "a second ': ' in one value: put the value in quotes, or check the indentation"
        if error.context == "expected a single document in the stream":
            return "one file holds one document: remove the '---'"
        return message if message.startswith(("anchors", "tags", "nested")) else f"not valid YAML: {message}"

    def _plain(self, node: yaml.Node, path: Place) -> Any:
        self._values[path] = node
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._plain_mapping(node, path)
        try:
            return _CONSTRUCT.get(node.tag, _text)(node.value)
        except ValueError as error:
            self.problems.append(self._problem_of(node, str(error), ""))
            self.unread.add(path)
            return None

    def _plain_mapping(self, node: yaml.MappingNode, path: Place) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(self._problem_of(key_node, "a key must be a plain word", ""))
                continue
            try:
                key = _text(key_node.value)
            except ValueError as error:
                self.problems.append(self._problem_of(key_node, str(error), ""))
                continue
            if key in data:
                first = self._keys[(*path, key)].start_mark.line + 1
                self.problems.append(
                    self._problem_of(key_node, f"the key {key!r} appears twice (first in line {first})", "")
                )
                continue
            self._keys[(*path, key)] = key_node
            data[key] = self._plain(value_node, (*path, key))
        return data

    def problem_at(self, line: int, column: int, length: int, message: str, suggestion: str = "") -> Problem:
        """A Problem at a line and column (from 1), with `length` characters marked by carets."""
        shown = self.lines[line - 1] if line <= len(self.lines) else ""
        length = max(1, min(length, len(shown) - column + 1))
        indent = "".join("\t" if character == "\t" else " " for character in shown[: column - 1])
        excerpt = f"{shown}\n{indent.ljust(column - 1)}{'^' * length}" if shown.strip() else ""
        return Problem(self.name, line, column, message, suggestion, excerpt)

    def _problem_of(self, node: yaml.Node, message: str, suggestion: str) -> Problem:
        start, end = node.start_mark, node.end_mark
        length = (
            end.column - start.column
            if end.line == start.line
            else len(self.lines[start.line]) - start.column
        )
        return self.problem_at(start.line + 1, start.column + 1, length, message, suggestion)

    def key_problem(self, path: Place, message: str, suggestion: str = "") -> Problem:
        """A Problem at the key that `path` ends in, or at its nearest existing parent."""
        while path and path not in self._keys and path not in self._values:
            path = path[:-1]
        if not path:
            return Problem(self.name, 1, 1, message, suggestion)
        return self._problem_of(self._keys.get(path) or self._values[path], message, suggestion)

    def value_problem(self, path: Place, message: str, suggestion: str = "") -> Problem:
        """A Problem at the value at `path`; an empty value, or one that spans several lines, is shown by its key."""
        node = self._values.get(path)
        if node is None or (path in self._keys and self._is_shown_by_key(node)):
            return self.key_problem(path, message, suggestion)
        return self._problem_of(node, message, suggestion)

    @staticmethod
    def _is_shown_by_key(node: yaml.Node) -> bool:
        empty = node.start_mark.index == node.end_mark.index
        return empty or (isinstance(node, yaml.CollectionNode) and not node.flow_style)

    def text_problem(
        self, path: Place, offset: int, length: int, message: str, suggestion: str = ""
    ) -> Problem:
        """A Problem inside the text value at `path`, at `offset` characters (from 0) into the text."""
        node = self._values[path]
        if not isinstance(node, yaml.ScalarNode):
            return self.value_problem(path, message, suggestion)
        positions = _source_positions(node, self.text)
        start = positions[min(offset, len(positions) - 1)]
        end = positions[min(offset + length, len(positions) - 1)]
        line_start = max(self.text.rfind("\n", 0, start), self.text.rfind("\r", 0, start)) + 1
        line = len(self.text[:line_start].splitlines()) + 1
        same_line = "\n" not in self.text[start:end]
        return self.problem_at(
            line, start - line_start + 1, end - start if same_line else len(self.text), message, suggestion
        )

    def position(self, path: Place) -> tuple[int, int]:
        """Line and column, from 1, at which the value at `path` begins."""
        mark = self._values[path].start_mark
        return mark.line + 1, mark.column + 1

    def is_block_text(self, path: Place) -> bool:
        """Whether the value at `path` is written with the block markers `|` or `>`."""
        node = self._values.get(path)
        return isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")

    def has(self, path: Place) -> bool:
        """Whether there is a value at `path`."""
        return path in self._values


_ESCAPE_LENGTHS = {"x": 4, "u": 6, "U": 10}


def _source_positions(node: yaml.ScalarNode, text: str) -> list[int]:
    """Index in `text` of every character of the scalar's value, and of its end.

    White space may be folded, but the other characters stand in the file in the same order as in the value,
    so these are matched one by one and white space is placed right behind its predecessor.
    """
    start, end = node.start_mark.index, node.end_mark.index
    tokens: list[int] = []
    if node.style in ("|", ">"):
        start = text.index("\n", start) + 1
    elif node.style in ("'", '"'):
        start, end = start + 1, end - 1
    index = start
    while index < end:
        width = 1
        if node.style == '"' and text[index] == "\\":
            width = _ESCAPE_LENGTHS.get(text[index + 1], 2)
            visible = text[index + 1] not in "\n\r \ttnvrfN_LP"
        elif node.style == "'" and text[index] == "'":
            width, visible = 2, True
        else:
            visible = not text[index].isspace()
        if visible:
            tokens.append(index)
        index += width
    positions: list[int] = []
    behind, remaining = start, iter(tokens)
    for character in node.value:
        if "\udc00" <= character <= "\udfff":
            next(remaining, behind)  # the second half of the character before
            continue
        place = behind if character.isspace() else next(remaining, behind)
        positions.append(place)
        behind = place + 1
    return [*positions, behind if positions else start]
