"""The mapping between names in documents and names in Hive, Cassandra and Airflow.

A name is legal and unquoted in every one of these systems, so that the mapping needs no escaping and is injective: two
documents never share a table, column or DAG.
"""

import keyword
import re
from collections.abc import Iterable
from typing import NamedTuple

from giornata.errors import InvalidNameError

NAME_LENGTH = 48  # Cassandra's limit for a table
PROJECT_LENGTH = 39  # Cassandra's limit of 48 for a keyspace, less "features_"

PREDICTIONS = "_predictions"
OUTCOMES = "_outcomes"
PROJECT_TABLES = (
    "feature_consistency",
    "feature_statistics",
    "model_metrics",
    "quarantined_rows",
    "validation_results",
)

# The name of a version of a feature group, from its second on: `origin_weather_v2`.
_VERSION = re.compile(r"(.+)_v([2-9]|[1-9][0-9]+)", re.ASCII)
_VERSION_FILE = re.compile(r"(.+)\.v([2-9]|[1-9][0-9]+)", re.ASCII)

# Databases that Spark, Hive and catalogues of others keep for themselves.
SYSTEM_DATABASES = frozenset({
    "builtin", "default", "global_temp", "hive_metastore", "information_schema", "pg_catalog", "session",
    "spark_catalog", "sys", "system",
})  # fmt: skip

_LEGAL = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)

# Reserved in Hive, Spark (ANSI) or CQL: as a bare identifier each of these breaks somebody's query.
# fmt: off
RESERVED = frozenset({
    "add", "aggregate", "all", "allow", "alter", "analyze", "and", "anti", "any", "apply", "array",
    "as", "asc", "authorization", "authorize", "batch", "begin", "between", "bigint", "binary",
    "boolean", "both", "by", "cache", "case", "cast", "char", "check", "collate", "column",
    "columnfamily", "commit", "compactionstrategy", "conf", "constraint", "create", "cross", "cube",
    "current", "current_date", "current_time", "current_timestamp", "current_user", "cursor",
    "database", "date", "dayofweek", "decimal", "default", "delete", "desc", "describe", "distinct",
    "double", "drop", "else", "end", "entries", "escape", "except", "exchange", "execute", "exists",
    "extended", "external", "extract", "false", "fetch", "filter", "float", "floor", "following", "for",
    "foreign", "from", "full", "function", "global", "grant", "group", "grouping", "having", "if",
    "import", "in", "index", "inet", "infinity", "inner", "insert", "int", "integer", "intersect",
    "interval", "into", "is", "join", "keyspace", "keyspaces", "lateral", "leading", "left", "less",
    "like", "limit", "local", "localtime", "localtimestamp", "loop", "macro", "map", "materialized",
    "mbean", "mbeans", "merge", "minus", "modify", "more", "nan", "natural", "none", "norecursive",
    "not", "null", "numeric", "of", "offset", "on", "one", "only", "or", "order", "out", "outer",
    "over", "overlaps", "overlay", "partialscan", "partition", "password", "percent", "position",
    "preceding", "precision", "preserve", "primary", "procedure", "quorum", "range", "reads", "real",
    "recursive", "reduce", "references", "regexp", "rename", "replace", "revoke", "right", "rlike",
    "rollback", "rollup", "row", "rows", "schema", "select", "semi", "session_user", "set", "similar",
    "smallint", "some", "sql", "start", "substring", "sum", "sync", "table", "tablesample", "then",
    "three", "time", "timestamp", "to", "token", "tonumber", "trailing", "transform", "trigger", "trim",
    "true", "truncate", "two", "unauthorized", "unbounded", "union", "unique", "uniquejoin", "unknown",
    "unlogged", "unnest", "unset", "update", "use", "user", "using", "utc_timestamp", "values",
    "varchar", "view", "views", "when", "where", "window", "with", "within", "without", "writetime",
    "year_month",
})
# fmt: on


class Name(NamedTuple):
    """The name of a document inside its project; as text `flights/trip_minutes`."""

    project: str
    name: str

    def __str__(self) -> str:
        return f"{self.project}/{self.name}"


def check_name(text: str, length: int = NAME_LENGTH) -> str:
    """Return `text` when it is a legal name, else raise InvalidNameError saying which rule it breaks."""
    if not text:
        raise InvalidNameError("a name is empty")
    if len(text) > length:
        raise InvalidNameError(f"the name {text!r} has {len(text)} characters; at most {length} are allowed")
    if not _LEGAL.fullmatch(text):
        raise InvalidNameError(
            f"{text!r} is not a legal name: use lower-case letters, digits and single underscores, "
            "beginning with a letter and not ending in an underscore"
        )
    if text in RESERVED:
        raise InvalidNameError(f"{text!r} is a reserved word of SQL or CQL: choose another name")
    if keyword.iskeyword(text):
        raise InvalidNameError(f"{text!r} is a word of the feature language's syntax: choose another name")
    return text


def check_project_name(text: str) -> str:
    """Return `text` when it is a legal project name, else raise InvalidNameError."""
    if text in SYSTEM_DATABASES:
        raise InvalidNameError(f"{text!r} is a database of Hive's or Spark's own: choose another name")
    return check_name(text, PROJECT_LENGTH)


def parse_model_name(text: str) -> Name:
    """The Name written as `project/model`. Raises InvalidNameError.

    For instance:

        >>> parse_model_name("flights/late")
        Name(project='flights', name='late')
        >>> predictions_table("flights/late")
        'flights.late_predictions'
    """
    project, slash, model = text.partition("/")
    if not slash:
        raise InvalidNameError(f"{text!r} is not a model's name: write project/model, as in flights/late")
    return Name(check_project_name(project), check_name(model))


def _model(model: Name | str) -> Name:
    return parse_model_name(str(model))


def predictions_table(model: Name | str) -> str:
    """Hive table of a model's predictions, `flights.trip_minutes_predictions`."""
    project, name = _model(model)
    return f"{project}.{name}{PREDICTIONS}"


def outcomes_table(model: Name | str) -> str:
    """Hive table of a model's predictions joined to their labels, `flights.trip_minutes_outcomes`."""
    project, name = _model(model)
    return f"{project}.{name}{OUTCOMES}"


def metrics_table(project: str) -> str:
    """Hive table of the metrics of all models of a project, `flights.model_metrics`."""
    return f"{check_project_name(project)}.model_metrics"


def consistency_table(project: str) -> str:
    """Hive table of the comparison of served features with recomputed ones, `flights.feature_consistency`."""
    return f"{check_project_name(project)}.feature_consistency"


def validation_table(project: str) -> str:
    """Hive table of the results of expectations, `flights.validation_results`."""
    return f"{check_project_name(project)}.validation_results"


def quarantine_table(project: str) -> str:
    """Hive table of quarantined rows, `flights.quarantined_rows`."""
    return f"{check_project_name(project)}.quarantined_rows"


def statistics_table(project: str) -> str:
    """Hive table of the statistics of features by day, `flights.feature_statistics`."""
    return f"{check_project_name(project)}.feature_statistics"


def data_table(project: str, table: str) -> str:
    """Hive table of a data set of a project, `flights.departures`."""
    return f"{check_project_name(project)}.{check_name(table)}"


def group_table(project: str, group: str) -> str:
    """Hive table of a feature group, `flights.origin_weather`."""
    return f"{check_project_name(project)}.{check_name(group)}"


def group_version(group: str) -> tuple[str, int]:
    """A feature group's name in expressions, and its version: `origin_weather_v2` is `origin_weather` and 2."""
    found = _VERSION.fullmatch(group)
    return (found[1], int(found[2])) if found else (group, 1)


def next_version(group: str, groups: Iterable[str] = ()) -> str:
    """The name of the next version of `group`, after all versions among `groups`."""
    base, number = group_version(group)
    numbers = [other for name, other in map(group_version, groups) if name == base]
    return f"{base}_v{max([number, *numbers]) + 1}"


def proposal(group: str, groups: Iterable[str] = ()) -> str:
    """A hint to write a new version instead of changing the meaning of a feature group."""
    return (
        f"leave features/{group_file(group)}.yaml as it is and write what changes as a new version of the group, "
        f"features/{group_file(next_version(group, groups))}.yaml"
    )


def newest_versions(groups: Iterable[str]) -> dict[str, str]:
    """The name of the newest version of each feature group, by its name in expressions."""
    ordered = sorted(groups, key=group_version)
    return {group_version(group)[0]: group for group in ordered}


def group_file(group: str) -> str:
    """The file name of a feature group without ending: `origin_weather.v2`."""
    base, number = group_version(group)
    return group if number == 1 else f"{base}.v{number}"


def group_of_file(stem: str) -> str:
    """The feature group with the file name `stem`: the inverse of `group_file`. Raises InvalidNameError."""
    found = _VERSION_FILE.fullmatch(stem)
    group = f"{check_name(found[1])}_v{found[2]}" if found else stem
    check_name(group)
    if group_file(group) != stem:
        raise InvalidNameError(f"{stem!r} names a version of a group: call the file {group_file(group)!r}")
    return group


def keyspace(project: str) -> str:
    """Cassandra keyspace of the features of a project, `features_flights`."""
    return f"features_{check_project_name(project)}"


def online_table(project: str, group: str) -> str:
    """Cassandra table of a feature group, `features_flights.origin_weather`."""
    return f"{keyspace(project)}.{check_name(group)}"


def dag_id(project: str, *rest: str) -> str:
    """Airflow's id of a DAG, `flights.trip_minutes.train`."""
    return ".".join([check_project_name(project), *map(check_name, rest)])


def store_column(use: str, feature: str) -> str:
    """Column of a feature once joined to rows, `origin_weather__wind_speed`.

    `use` is the group or, if it is looked up by columns with other names than the entity's, the group and the columns:
    `origin_weather__dest`.
    """
    return "__".join([*map(check_name, use.split("__")), check_name(feature)])


def parse_store_column(column: str) -> tuple[str, str]:
    """Use and feature of a joined column: the inverse of `store_column`. Raises InvalidNameError."""
    use, separator, feature = column.rpartition("__")
    if not separator:
        raise InvalidNameError(f"{column!r} is not a column of a feature group: there is no '__' in it")
    return "__".join(map(check_name, use.split("__"))), check_name(feature)


def hive_tables_of_model(model: str) -> tuple[str, str]:
    """Hive tables, without their database, of a model with this name."""
    return f"{model}{PREDICTIONS}", f"{model}{OUTCOMES}"
