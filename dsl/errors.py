"""Errors of the feature language: what is wrong, where, and what to write instead."""

import re
from collections.abc import Iterable


class GiornataError(Exception):
    """Base of every error that Giornata raises on purpose; its text is written for the user."""


class LanguageError(GiornataError):
    """One mistake in one expression.

    `feature` names the feature, `message` says what is wrong, `line` and `column` where, counted from 1 in characters.
    `length` is the number of characters to mark (at least 1), `suggestion` a correction or None, `text` the expression.
    """

    def __init__(
        self,
        feature: str,
        message: str,
        line: int = 1,
        column: int = 1,
        length: int = 1,
        suggestion: str | None = None,
        text: str = "",
    ) -> None:
        super().__init__(feature, message, line, column, length, suggestion, text)
        self.feature = feature
        self.message = message
        self.line = line
        self.column = column
        self.length = length
        self.suggestion = suggestion
        self.text = text

    def excerpt(self) -> str:
        """The offending line with a caret under each marked character; half a surrogate pair is shown as �."""
        lines = re.sub("[\ud800-\udfff]", "\ufffd", self.text).split("\n")
        line = lines[self.line - 1] if self.line <= len(lines) else ""
        lead = "".join("\t" if character == "\t" else " " for character in line[: self.column - 1])
        return f"{line}\n{lead}{'^' * self.length}"

    def __str__(self) -> str:
        parts = [f"feature {self.feature!r}, line {self.line}, column {self.column}: {self.message}"]
        if self.text:
            parts += [f"    {line}" for line in self.excerpt().split("\n")]
        if self.suggestion:
            parts.append(f"    {self.suggestion}")
        return "\n".join(parts)


class LanguageErrors(GiornataError):
    """Every mistake found in a set of features, in the order of the features."""

    def __init__(self, errors: Iterable[LanguageError]) -> None:
        self.errors = list(errors)
        super().__init__(self.errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


class SchemaError(GiornataError):
    """A schema that names a type the language does not have."""


class StoredFormError(GiornataError):
    """Stored features (JSON) that this version cannot read, or that contradict themselves."""


class InputError(GiornataError):
    """A value or column passed to compiled features that is not of its declared type."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message

    def __str__(self) -> str:
        return f"input {self.name!r}: {self.message}"


class NotFittedError(GiornataError):
    """Features with fitted functions were used before they were fitted."""


class UdfError(GiornataError):
    """A project's function raised an error, or returned a value that does not match its signature.

    `name` is the function's name in expressions, `message` says what happened, `arguments` are those of the row, and
    `row` is the row's number in a frame, counted from 0, or None for a single row.
    """

    def __init__(
        self, name: str, message: str, arguments: tuple[object, ...] = (), row: int | None = None
    ) -> None:
        super().__init__(name, message, arguments, row)
        self.name = name
        self.message = message
        self.arguments = arguments
        self.row = row

    def __str__(self) -> str:
        shown = ", ".join(f"{argument!r:.60}" for argument in self.arguments)
        where = f" (row {self.row})" if self.row is not None else ""
        return (
            f"{self.name}({shown}){where}: {self.message}"
            if self.arguments
            else f"{self.name}: {self.message}"
        )
