"""SQL on the local stack: runs a file's statements and prints tables, or opens beeline's prompt without Java traces."""

import getpass
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import sqlglot
from rich.console import Console
from rich.table import Table
from sqlglot import TokenType
from sqlglot.errors import TokenError

from giornata.names import check_name, check_project_name
from giornata.settings import Settings
from giornata.stores import hive
from stack.errors import StackError
from stack.installation import Installation

# What the ready queries ask about, to be replaced by a project and a model of one's own.
EXAMPLE_PROJECT = "flights"
EXAMPLE_MODEL = "trip_minutes"

MOST_ROWS = 1000
WIDTH = 160


def run_file(settings: Settings, file: Path, project: str | None, model: str | None) -> None:
    """Run the statements of a file one after the other and print their results, at most MOST_ROWS rows each.

    `project` and `model` replace those of the example in the ready queries. Raises StackError for a file that cannot be
    read, InvalidNameError, and StoreError with the server's message about a statement.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise StackError(f"{file} cannot be read: {problem}") from problem
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    for statement in statements(asked_of(text, project, model)):
        _print(console, hive.query(settings, statement))


def asked_of(text: str, project: str | None, model: str | None) -> str:
    """A ready query for another project and model than the example's. Raises InvalidNameError, and StackError if it
    does not name these."""
    if model:
        text = _asked_of(text, rf"\b{EXAMPLE_MODEL}(?=_|\b)", "MODEL", check_name(model), EXAMPLE_MODEL)
    if project:
        name = check_project_name(project)
        text = _asked_of(text, rf"\b{EXAMPLE_PROJECT}(?=[./])", "PROJECT", name, EXAMPLE_PROJECT)
    return text


def _asked_of(text: str, pattern: str, what: str, name: str, example: str) -> str:
    asked, number = re.subn(pattern, name, text)
    if not number and not re.search(rf"\b{name}", text):
        raise StackError(
            f"{what}={name} changes nothing here: the query does not name {example}; edit a copy of it"
        )
    return asked


def statements(text: str) -> Iterator[str]:
    """The statements of an SQL text, in their order. Raises StackError for a quote that is never closed."""
    try:
        tokens = sqlglot.tokenize(text, read="spark")
    except TokenError as problem:
        raise StackError(f"this is no SQL: {problem}") from problem
    begin = 0
    for token in tokens:
        if token.token_type == TokenType.SEMICOLON:
            if any(begin <= each.start < token.start for each in tokens):
                yield text[begin : token.start].strip()
            begin = token.end + 1
    if any(each.start >= begin for each in tokens):
        yield text[begin:].strip()


def _print(console: Console, rows: Sequence[Mapping[str, object]]) -> None:
    if not rows:
        console.print("no rows")
        return
    table = Table(*(str(column) for column in rows[0]), box=None, header_style="bold")
    for row in rows[:MOST_ROWS]:
        table.add_row(*("null" if value is None else str(value) for value in row.values()))
    console.print(table, markup=False)
    if len(rows) > MOST_ROWS:
        console.print(f"the first {MOST_ROWS} of {len(rows)} rows")


def prompt(here: Installation, address: str) -> int:
    """Open beeline's prompt on the SQL endpoint at `address` and return its exit code."""
    command = [str(here.binaries / "beeline"), "--silent=true", "-u", f"jdbc:hive2://{address}/default"]
    process = subprocess.Popen(
        [*command, "-n", getpass.getuser()], env=here.environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in without_traces(process.stderr):
        print(line, file=sys.stderr, flush=True)
    return process.wait()


def without_traces(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    """The lines of beeline's errors without the plans, causes and stack frames of Java that follow the message."""
    told = True
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("Error:"):
            told = False
            yield hive.plain(line)
        elif line.startswith(("\tat ", "Caused by:", "\t... ", "WARNING: Using incubator")):
            told = line.startswith("WARNING")
        elif told:
            yield line
