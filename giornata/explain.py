"""Explains a model: its inputs, every step of its expressions, and the values for one row."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dsl import CompiledFeatures, Inputs
from dsl.schema import store_input_name
from dsl.tools.trace import Step, trace
from dsl.types import nearest
from giornata.errors import DataError, RequestError
from giornata.serving.requests import read_value

__all__ = ["explained", "read_row"]

_LONGEST = 60


def read_row(written: str, inputs: Inputs) -> tuple[dict[str, Any], list[str]]:
    """The row in a JSON object, by the names of the inputs (`distance`, `weather__wind_speed`), and notes on ignored
    parts.

    Values are read as by the server: in the same types, without columns that are not inputs, with a request (`{"row":
    {…}}`) unwrapped. Missing values are null. Raises DataError.
    """
    types = dict(inputs.row)
    for use, store in inputs.store.items():
        types |= {store_input_name(use, feature): kind for feature, kind in store.features.items()}
    try:
        row = json.loads(written)
    except json.JSONDecodeError as error:
        raise DataError(f"the row is not JSON: {error}") from None
    if isinstance(row, dict) and isinstance(row.get("row"), dict) and "row" not in types:
        row = row["row"]
    if not isinstance(row, dict):
        raise DataError('the row is not an object: write it as {"distance": 500.0, …}')
    try:
        read = {name: read_value(name, value, types[name]) for name, value in row.items() if name in types}
    except RequestError as error:
        raise DataError(str(error)) from None
    return read, [_ignored(name, types) for name in row if name not in types]


def _ignored(name: str, types: Mapping[str, str]) -> str:
    near = nearest(name, types)
    return f"ignored: {name!r:.80}, which the model does not read" + (
        f"; did you mean {near}?" if near else ""
    )


def explained(
    name: str, features: CompiledFeatures, partition: CompiledFeatures | None, row: str | None = None
) -> RenderableType:
    """The inputs and the steps of a model's features and partition, with the values for a row given as JSON."""
    parts: list[RenderableType] = []
    given, notes = read_row(row, _all_inputs(features, partition)) if row is not None else (None, [])
    parts += [Text(note, style="yellow") for note in notes]
    for title, compiled in (("features", features), ("partition, finest level first", partition)):
        if compiled is None:
            continue
        steps = trace(compiled, given)
        parts += [Text(f"\n{name}: {title}\n", style="bold"), _inputs(compiled.inputs), Text("")]
        for feature, step in steps.items():
            tree = Tree(_line(f"{feature}:", step, given is not None), guide_style="dim")
            _grow(tree, step, given is not None)
            parts += [tree, Text("")]
    return Group(*parts)


def _all_inputs(features: CompiledFeatures, partition: CompiledFeatures | None) -> Inputs:
    """All inputs of features and partition."""
    if partition is None:
        return features.inputs
    store = dict(partition.inputs.store)
    for use, read in features.inputs.store.items():
        known = store.get(use, read)
        store[use] = type(read)(read.group, read.keys, {**known.features, **read.features})
    return Inputs({**partition.inputs.row, **features.inputs.row}, store)


def _inputs(inputs: Inputs) -> Table:
    table = Table("Input", "Type", "", box=None, pad_edge=False, header_style="dim")
    for name, kind in inputs.row.items():
        table.add_row(f"row.{name}", kind, "may be null" if name in inputs.nullable else "")
    for use, store in inputs.store.items():
        keys = ", ".join(f"row.{column}" for column in store.keys.values())
        for feature, kind in store.features.items():
            table.add_row(store_input_name(use, feature), kind, f"by {keys}")
    return table


def _grow(tree: Tree, step: Step, with_value: bool) -> None:
    for operand in step.operands:
        _grow(tree.add(_line("", operand, with_value)), operand, with_value)


def _line(name: str, step: Step, with_value: bool) -> Text:
    line = Text(f"{name} {step.says}".strip())
    line.append(f"  {step.type}", style="dim")
    if step.problem is not None:
        line.append(f" ! {step.problem}", style="red")
    elif with_value and not step.is_literal:
        line.append(f" = {_shown(step.value)}", style="green")
    for said in _learned(step.state):
        line.append(f"\n{said}", style="cyan")
    return line


def _learned(state: Mapping[str, Any]) -> Iterator[str]:
    for name, value in state.items():
        yield f"learned {name} = {_shown(list(value) if isinstance(value, tuple) else value)}"


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    shown = "null" if value is None else repr(list(value) if isinstance(value, tuple) else value)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
