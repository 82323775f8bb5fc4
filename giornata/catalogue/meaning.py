"""Compares sources of a feature group: whether its rows still mean what they meant when a version was trained.

Comments, white space and docstrings make no difference, and neither do columns of a query that the version does not
read.
"""

import ast
import hashlib
import json
import re
from collections.abc import Collection
from typing import Any

from giornata.documents.feature_group import FeatureGroup
from giornata.documents.group_source import GroupSource

__all__ = ["digest", "group_digest", "is_same"]

_PARAMETER = re.compile(r":(from|to)\b", re.IGNORECASE)


def digest(source: GroupSource) -> str:
    """A short hash of the meaning of a source, `query-3f2a9c1b8d04`."""
    text = "\0".join(_normalised(source, None))
    return f"{source.kind}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def group_digest(group: FeatureGroup, source: GroupSource) -> str:
    """A short hash of everything in a group's document and source that defines the meaning of its rows."""
    features = {name: [one.type, str(one.window or "")] for name, one in sorted(group.features.items())}
    events = group.events.model_dump(mode="json") if group.events else None
    told = [group.entity, str(group.ttl), events, features, digest(source)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def is_same(then: GroupSource, now: GroupSource, columns: Collection[str]) -> bool:
    """Whether two sources define these columns in the same way, as far as that can be seen without running them."""
    if then.kind != now.kind:
        return False
    return sorted(then.files.values()) == sorted(now.files.values()) or _normalised(
        then, columns
    ) == _normalised(now, columns)


def _normalised(source: GroupSource, columns: Collection[str] | None) -> list[str]:
    """The files of a source in normal form; for a query, if `columns` are given, as far as these depend on it."""
    if source.kind == "query":
        return [_query(text, columns) for text in source.files.values()]
    return [_code(text) for _, text in sorted(source.files.items())]


def _code(text: str) -> str:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            node.body = [each for each in node.body if not _is_text(each)]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _query(text: str, columns: Collection[str] | None) -> str:
    """A query without comments and hints, its words in one case; a query that cannot be parsed stays as it is."""
    try:
        from sqlglot import exp, parse_one
        from sqlglot.errors import SqlglotError
    except ImportError:
        return " ".join(text.split())
    try:
        # Spark takes any word after the colon, the parser none of the language.
        tree = parse_one(_PARAMETER.sub(r":p_\1", text), dialect="spark")
        for hint in list(tree.find_all(exp.Hint)):
            hint.pop()
        if columns is not None:
            _leave_out(tree, columns)
        return str(tree.sql(dialect="spark", comments=False, normalize=True))
    except (SqlglotError, RecursionError):
        return " ".join(text.split())


def _leave_out(tree: Any, columns: Collection[str]) -> None:
    """Remove from the outermost SELECT the expressions that give none of `columns` and that nothing else depends on."""
    from sqlglot import exp

    counts = tree.args.get("group")
    by_place = counts is not None and any(isinstance(each, exp.Literal) for each in counts.expressions)
    if not isinstance(tree, exp.Select) or tree.args.get("distinct") or by_place:
        return
    wanted = {name.lower() for name in columns}
    left_out = [each for each in tree.expressions if each.alias_or_name.lower() not in wanted | {"", "*"}]
    while left_out:
        outside = {id(inside) for each in left_out for inside in each.walk()}
        used = {column.name.lower() for column in tree.find_all(exp.Column) if id(column) not in outside}
        needed = [each for each in left_out if each.alias_or_name.lower() in used]
        if not needed:
            break
        left_out = [each for each in left_out if each not in needed]
    for each in left_out:
        each.pop()
