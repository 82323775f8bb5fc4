"""Rules for changes of a feature group's document: new features are added, unread ones are dropped, others keep their
meaning.

A feature that a live model version reads stays, and keeps its meaning: another document is refused before anything is
published. When no live version reads it, its column leaves Cassandra, and in Hive it stays for the past, empty from
then on.
"""

from cassandra.cluster import Session
from pyspark.sql import SparkSession

from giornata import names
from giornata.catalogue.deployed import group_problems
from giornata.catalogue.live import live_versions
from giornata.catalogue.meaning import group_digest
from giornata.documents import FeatureGroup, ProjectDocuments
from giornata.documents.group_source import GroupSource, read_source
from giornata.errors import DataError
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.features import check_key, drop_features, features_online
from jobs.hive.schema import SQL_TYPES

__all__ = ["check_document", "check_features_online", "drop_unread", "note_meaning", "vanished"]

# What the newest publication of a group's table meant, as `group_digest` tells it.
_MEANING = "giornata.meaning"


def check_document(spark: SparkSession, settings: Settings, documents: ProjectDocuments, name: str) -> None:
    """Raise DataError if the document changes the type of a column in Hive or the entity, lacks a feature in use, or
    gives it another meaning.

    Cassandra is only asked if the document lacks a column of the table, or has another meaning than what was published
    last. Raises StoreError.
    """
    project, group = documents.name, documents.group(name)
    table = names.group_table(project, name)
    if not spark.catalog.tableExists(table):
        return
    present = {
        column.name: column.dataType for column in spark.catalog.listColumns(table) if not column.isPartition
    }
    wanted = {**group.entity, "event_time": "timestamp"}
    wanted |= {feature: declared.type for feature, declared in group.features.items()}
    changed = [
        f"{column} is {present[column]} in Hive and {type_} in the document"
        for column, type_ in wanted.items()
        if present.get(column, SQL_TYPES[type_]) != SQL_TYPES[type_]
    ]
    changed += [f"{column} of the entity is not in Hive" for column in group.entity if column not in present]
    if changed:
        raise DataError(
            f"{'; '.join(changed)}. This cannot change in place: {names.proposal(name, documents.groups)}. "
            "Nothing was published."
        )
    source = read_source(documents, name)
    means = _properties(spark, table).get(_MEANING)
    if present.keys() - wanted.keys() or means != group_digest(group, source):
        with cassandra.session(settings) as session:
            check_key(session, project, name, group)
            cassandra.apply(session, cassandra.SCHEMA / "giornata.cql", settings.cassandra_replicas)
            _check_unread(session, project, name, group, source)


def note_meaning(spark: SparkSession, documents: ProjectDocuments, name: str) -> None:
    """Record with the existing table of a group the meaning of what is published from now on."""
    table = names.group_table(documents.name, name)
    means = group_digest(documents.group(name), read_source(documents, name))
    if _properties(spark, table).get(_MEANING) != means:
        spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{_MEANING}' = '{means}')")


def _properties(spark: SparkSession, table: str) -> dict[str, str]:
    return {row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {table}").collect()}


def _check_unread(
    session: Session, project: str, name: str, group: FeatureGroup | None, source: GroupSource | None = None
) -> None:
    """Raise DataError if live versions read something that a group's document (None: it is gone) does not have or that
    has another meaning there, according to its source, if given."""
    cassandra.apply(session, cassandra.SCHEMA / "giornata.cql")
    problems = group_problems(project, name, group, source, live_versions(session, {project}))
    if problems:
        raise DataError(f"{'; '.join(problems)}. Nothing was published.")


def vanished(settings: Settings, documents: ProjectDocuments) -> dict[str, str]:
    """The groups that live versions read and a project no longer has, with a message about each."""
    with cassandra.session(settings) as session:
        cassandra.apply(session, cassandra.SCHEMA / "giornata.cql", settings.cassandra_replicas)
        live = live_versions(session, {documents.name})
    read = {store.group for each in live for store in each.version.signature.store.values()}
    return {
        name: "; ".join(group_problems(documents.name, name, None, None, live))
        for name in sorted(read - documents.groups.keys())
    }


def check_features_online(session: Session, project: str, name: str, group: FeatureGroup) -> None:
    """Raise DataError if the table in Cassandra has a feature in use that the group's document lacks."""
    if (features_online(session, project, name) or {}).keys() - group.features.keys():
        _check_unread(session, project, name, group)


def drop_unread(session: Session, project: str, name: str, group: FeatureGroup) -> tuple[str, ...]:
    """Drop the columns in Cassandra of features that the document no longer has; returns their names.

    Raises DataError if a live version reads one, and StoreError.
    """
    leaving = tuple(sorted((features_online(session, project, name) or {}).keys() - group.features.keys()))
    if leaving:
        # Once more, after all that was pushed: a version may have become live meanwhile.
        _check_unread(session, project, name, group)
        drop_features(session, project, name, leaving)
    return leaving
