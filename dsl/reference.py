"""Writes the reference page of functions from the table: `python -m dsl.reference > docs/reference/functions.md`."""

import sys
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from dsl.functions import TABLE
from dsl.signature import Example, Function

SECTIONS = {
    "operators": "Operators",
    "numbers": "Numbers",
    "nulls": "Missing values",
    "text": "Text",
    "time": "Time",
    "lists": "Lists",
    "fitted": "Fitted functions",
}
INTRODUCTION = """# Functions of the feature language

Generated from the function table by `python -m dsl.reference`; do not edit.
What types, null, overflow and time zones mean everywhere is in [language.md](language.md).

In signatures `number` is int or float, `ordered` is int, float, str or timestamp, `value` is any type but a list,
`anything` any type; each stands for one type in a call, and an int given beside a float becomes a float.
`constant[…]` and `zone` must be literals.
Unless said otherwise a function is null when an argument is null.
"""


def page() -> str:
    """The whole page, Markdown."""
    parts = [INTRODUCTION]
    for section, title in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        rows = [function for function in TABLE if function.section == section]
        for _, same in groupby(rows, key=lambda function: function.name):
            parts.append(_entry(list(same)))
    return "\n".join(parts)


def _entry(rows: list[Function]) -> str:
    lines = [f"### `{rows[0].name}`\n"]
    for row in rows:
        lines.append(f"`{_form(row)}`\\\n{row.doc}")
        if row.definition and not row.fit and "_local" not in row.definition:
            lines.append(f"Means `{row.definition}`.")
        lines.append("")
        lines += [f"* {_example(example)}" for example in row.examples]
        lines.append("")
    return "\n".join(lines)


def _form(row: Function) -> str:
    if not row.is_operator:
        return row.signature
    kinds = [f"{parameter.name}: {parameter.kind}" for parameter in row.parameters]
    written = f"{row.name}({kinds[0]})" if len(kinds) == 1 else f"({kinds[0]}) {row.name} ({kinds[1]})"
    return f"{written} -> {row.returns}"


def _example(example: Example) -> str:
    text = f"`{example.expression}` is `{_value(example.value)}`"
    given = [f"`row.{name}` is `{_value(value)}`" for name, value in example.row.items()]
    if given:
        text += f" where {_listed(given)}"
    if example.training:
        values = [_value(value) for row in example.training for value in row.values()]
        text += f", learned from `{', '.join(values)}`"
    return text


def _value(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case tuple():
            return f"[{', '.join(map(_value, value))}]"
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return repr(value)


def _listed(parts: Iterable[str]) -> str:
    return " and ".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
