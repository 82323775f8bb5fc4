"""Checks the queries of feature groups against the declared columns, with sqlglot and without Spark.

Only what is certain is an error: a column that is missing from all declared tables it could come from. A query that
sqlglot cannot parse may be valid for Spark, and an undeclared table may exist: these are warnings.
"""

import importlib.util
import logging
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from giornata import names
from giornata.documents.project_documents import ProjectDocuments
from giornata.documents.suggestions import did_you_mean
from giornata.documents.text_files import problem_in, read_text, shown_path
from giornata.errors import Problem

if TYPE_CHECKING:
    from sqlglot.optimizer.scope import Scope

__all__ = ["QueryFinding", "can_read_queries", "query_findings"]

_GROUP_COLUMNS = ("event_time", "day")


class QueryFinding(NamedTuple):
    """A finding in a file; one that is not `certain` is a warning."""

    problem: Problem
    certain: bool


def can_read_queries() -> bool:
    """Whether sqlglot is installed here."""
    return importlib.util.find_spec("sqlglot") is not None


def query_findings(documents: ProjectDocuments) -> Iterator[QueryFinding]:
    """The findings in the queries of a project; needs `can_read_queries`."""
    known = {name: {*table.columns, "day"} for name, table in documents.tables.items()}
    known |= {
        name: {*group.entity, *group.features, *_GROUP_COLUMNS} for name, group in documents.groups.items()
    }
    for name, group in documents.groups.items():
        if documents.source(name) == "query":
            file = documents.folder / "features" / f"{names.group_file(name)}.sql"
            query = _Query(read_text(file, shown_path(file)), shown_path(file), known, _others(documents))
            yield from query.findings([*group.entity, "event_time", *group.features])


def _others(documents: ProjectDocuments) -> set[str]:
    """The tables that the platform adds to a project."""
    return {
        *names.PROJECT_TABLES,
        *(table for model in documents.models for table in names.hive_tables_of_model(model)),
    }


class _Query:
    """One query: its text, the name of its file for messages, and the columns of the declared tables."""

    def __init__(self, text: str, shown: str, known: Mapping[str, set[str]], others: set[str]):
        self._text = text
        self._shown = shown
        self._known = known
        self._others = others

    def findings(self, wanted: list[str]) -> Iterator[QueryFinding]:
        """All findings in it; `wanted` are the columns that it has to return."""
        logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
        try:
            yield from self._of_tree(wanted)
        except Exception as error:  # noqa: BLE001 - whatever a parser of others stumbles over, Spark decides
            yield self._unread(error)

    def _of_tree(self, wanted: list[str]) -> Iterator[QueryFinding]:
        import sqlglot
        from sqlglot import exp
        from sqlglot.optimizer.scope import traverse_scope

        # FROM and TO are words of SQL; parameters of the same length keep everything at its place.
        text = re.sub(r":to\b", ":t_", re.sub(r":from\b", ":fr__", self._text))
        tree = sqlglot.parse_one(text, dialect="spark")
        if not isinstance(tree, exp.Query):
            yield QueryFinding(self._at(1, 1, "this is no query: it must begin with SELECT or WITH"), False)
            return
        for scope in traverse_scope(tree):
            yield from self._of_scope(scope)
        given = {name.lower() for name in tree.named_selects}
        if not tree.is_star and "" not in given:
            lacking = [column for column in wanted if column not in given]
            if lacking:
                message = f"the query gives no column {', '.join(lacking)}, which its document declares"
                yield QueryFinding(self._at(1, 1, message), False)

    def _of_scope(self, scope: "Scope") -> Iterator[QueryFinding]:
        from sqlglot import exp

        for source in scope.sources.values():
            if isinstance(source, exp.Table) and not source.db and isinstance(source.this, exp.Identifier):
                name = source.name.lower()
                if name not in self._known and name not in self._others:
                    message = f"no document declares a table '{source.name}'"
                    hint = did_you_mean(name, self._known)
                    yield QueryFinding(self._at_node(source.this, message, hint), False)
        if scope.pivots or not isinstance(scope.expression, exp.Select):
            return
        named = {select.alias.lower() for select in scope.expression.selects if select.alias}
        for column in scope.columns:
            if column.parent_select is not scope.expression:
                continue  # of a query inside, which has a turn of its own
            columns = self._possible(scope, column.table, named)
            if columns is not None and column.name.lower() not in columns and column.name != "*":
                message = f"unknown column '{column.name}'"
                hint = did_you_mean(column.name, columns)
                yield QueryFinding(self._at_node(column.this, message, hint), True)

    def _possible(self, scope: "Scope | None", table: str, named: set[str]) -> set[str] | None:
        """The columns that a name can mean, in lower case; None if that is not certain."""
        found = set(named)
        while scope:
            if table:
                if table in scope.sources:
                    return self._columns(scope.sources[table])
            else:
                for source in scope.sources.values():
                    columns = self._columns(source)
                    if columns is None:
                        return None
                    found |= columns
            scope = scope.parent
        return None if table else found

    def _columns(self, source: Any) -> set[str] | None:
        from sqlglot import exp

        if isinstance(source, exp.Table):
            return None if source.db else self._known.get(source.name.lower())
        query = source.expression
        if not isinstance(query, exp.Query) or query.is_star or "" in query.named_selects:
            return None
        outer = source.outer_columns or query.named_selects
        return {name.lower() for name in outer}

    def _unread(self, error: Exception) -> QueryFinding:
        found = (getattr(error, "errors", None) or [{}])[0]
        line, column = found.get("line"), found.get("col")
        if column:
            column -= len(found.get("highlight") or " ") - 1
        said = found.get("description") or f"{type(error).__name__}: {error}"
        message = f"this could not be checked, as sqlglot does not read it here ({said}); Spark decides"
        return QueryFinding(self._at(line, column, message), False)

    def _at(self, line: int | None, column: int | None, message: str, hint: str = "") -> Problem:
        return problem_in(self._text, self._shown, line, column, message, hint)

    def _at_node(self, node: Any, message: str, hint: str) -> Problem:
        start = node.meta.get("start", 0)
        before = self._text[:start]
        return self._at(before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1, message, hint)
