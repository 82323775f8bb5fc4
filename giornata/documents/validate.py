"""Validates a YAML file as a document, or reports the mistakes in words and with positions."""

import types
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from giornata.documents.base import WRITTEN, MisplacedError
from giornata.documents.suggestions import did_you_mean
from giornata.documents.yaml_positions import YamlFile
from giornata.errors import Problem

D = TypeVar("D", bound=BaseModel)

_SHOWN = 80
"""How many characters of a wrong value a message shows."""

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "a mapping (lines of the form 'key: value')",
    "model_type": "a mapping (lines of the form 'key: value')",
    "model_attributes_type": "a mapping (lines of the form 'key: value')",
    "string_pattern_mismatch": "an amount of memory such as 600m or 2g",
    "list_type": "a list, such as [a, b]",
}


def validate(kind: type[D], file: YamlFile) -> D | None:
    """The document of a file, or None after adding the mistakes to `file.problems`."""
    if file.data is None:
        return None
    try:
        document = kind.model_validate(file.data, context=WRITTEN)
    except ValidationError as invalid:
        errors = [error for error in invalid.errors(include_url=False) if not _of_unread(file, error)]
        file.problems.extend(dict.fromkeys(_problem(kind, file, error) for error in errors))
        return None
    return None if file.unread else document


def _of_unread(file: YamlFile, error: Any) -> bool:
    """Whether an error comes from a value that could not be read, which is reported already."""
    place = _existing(file, tuple(error["loc"]))
    return error["type"] != "missing" and any(
        place == unread[: len(place)] or unread == place[: len(unread)] for unread in file.unread
    )


def _problem(kind: type[BaseModel], file: YamlFile, error: Any) -> Problem:
    location = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        known = _keys_at(kind, location[:-1])
        return file.key_problem(location, f"unknown key '{location[-1]}'", did_you_mean(location[-1], known))
    if error["type"] == "missing":
        return file.key_problem(location[:-1], f"the key '{location[-1]}' is missing")
    if location and location[-1] == "[key]":
        return file.key_problem(location[:-1], str(error["ctx"]["error"]))
    reason = error.get("ctx", {}).get("error")
    if isinstance(reason, MisplacedError):
        location = (*location, *reason.place)
    path = _existing(file, location)
    found = error["input"]
    if found == "" and file.is_block_text(path):
        return file.value_problem(
            path,
            "the value is empty, because a bare '>' or '|' begins a block of text",
            "put it in quotes: '>'",
        )
    return file.value_problem(path, *_wording(error, found))


def _wording(error: Any, found: object) -> tuple[str, str]:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {_show(found)}", ""
    if kind == "literal_error":
        options = [option.strip("'") for option in context["expected"].replace(" or ", ", ").split(", ")]
        return f"{_show(found)} is not one of {', '.join(options)}", _nearest_only(found, options)
    if kind == "value_error":
        return str(context["error"]), ""
    if kind == "too_short":
        return f"at least {context['min_length']} needed, found {context['actual_length']}", ""
    if kind == "string_too_short":
        return "expected text, found nothing", ""
    message = error["msg"].removeprefix("Input ")
    return f"{_show(found)} {message}", ""


def _nearest_only(found: object, options: list[str]) -> str:
    suggestion = did_you_mean(found, options)
    return suggestion if suggestion.startswith("did") else ""


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _existing(file: YamlFile, location: tuple[Any, ...]) -> tuple[Any, ...]:
    """The part of an error's location that exists in the file: pydantic adds names of union members."""
    path: tuple[Any, ...] = ()
    for step in location:
        if file.has((*path, step)):
            path = (*path, step)
    return path


def _keys_at(kind: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that the part of a document at `location` may have."""
    current: Any = kind
    for step in location:
        current = _step_into(_plain(current), step)
    model = _plain(current)
    return _keys(model) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _step_into(annotation: Any, step: object) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return next(
            field.annotation for name, field in annotation.model_fields.items() if step in (name, field.alias)
        )
    return get_args(annotation)[-1]


def _plain(annotation: Any) -> Any:
    """The type inside Annotated and Optional."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = get_args(annotation)[0]
    return annotation
