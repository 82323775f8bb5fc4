"""How models are stored: checks of file names, and JSON with every bit of its numbers."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import ValidationError

from giornata.errors import BundleError
from giornata.schema import Document

__all__ = ["MALFORMED", "check_names", "read_document", "write_json"]

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Errors raised when a value from JSON has another shape than expected."""

_Content = TypeVar("_Content", bound=Document)


def check_names(files: Mapping[str, bytes], names: Sequence[str], what: str = "the model is") -> None:
    """Raise BundleError unless these are exactly the files; `what` begins the sentence, as in "the trees are"."""
    if set(files) != set(names):
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        raise BundleError(f"{what} kept in {listed}, not in {', '.join(files) or 'no file'}")


def read_document(kind: type[_Content], files: Mapping[str, bytes], name: str, what: str) -> _Content:
    """The document in file `name`, the only one; `what` describes it in words. Raises BundleError if there are others,
    or it is not such a document."""
    check_names(files, [name])
    try:
        return kind.model_validate_json(files[name])
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(step) for step in problem["loc"])
        raise BundleError(f"{name} holds no {what}: {where} {problem['msg']}".strip()) from error


def write_json(content: object) -> bytes:
    """Compact JSON, in which a number that is not finite is an error."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
