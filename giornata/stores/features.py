"""The online feature store: Cassandra tables that hold feature groups over time, and how they are read.

A table has one row per entity and event time, newest first, so that the newest row before any moment is the first row
of one range: the past can be replayed, and a late row never hides a newer one. This module implements point-in-time
reads online: at moment t a prediction sees, per group and entity, the newest row with event_time < t, unless that row
is older than t - ttl. `jobs/features/point_in_time.py` implements the same offline.

Cassandra keeps times to the millisecond. The times of feature rows are whole milliseconds in Hive too (see
`jobs/features/stages.py`), and the moment of a request is rounded up here, which changes no comparison with them.
"""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple

from cassandra import InvalidRequest
from cassandra.cluster import PreparedStatement, ResponseFuture, Session

from dsl.schema import AGE, Inputs, StoreInput
from giornata import names
from giornata.absence import Missing, Reason
from giornata.documents.feature_group import FeatureGroup
from giornata.errors import NotFoundError, StoreError
from giornata.stores import cassandra
from giornata.stores.cassandra import CASSANDRA_FAULTS
from giornata.stores.online_history import OnlineHistory

CQL_TYPES = {"int": "bigint", "float": "double", "bool": "boolean", "str": "text", "timestamp": "timestamp"}

# Reads under way at once in one request, and the seconds that all of them together may take.
MAX_IN_FLIGHT = 128
DEADLINE = 2.0

_LEAST = 0.001  # seconds; the driver takes 0 for "no limit"

# Entities that one read asks for: a statement costs the driver more than a row does, and no server is asked for so
# many that the others have nothing to do.
TOGETHER = 25

# Types of which Cassandra gives back a value that is equal to the one asked for, so that rows find their keys.
_FOUND_AGAIN = ("str", "int")

_LONGEST_KEY = 65_535
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Key = tuple[Any, ...]


def milliseconds(moment: datetime) -> int:
    """Milliseconds from 1970 to `moment`, rounded up. Raises StoreError when `moment` names no time zone."""
    if moment.tzinfo is None:
        raise StoreError(
            f"the moment {moment.isoformat()} has no time zone; features are read as of an instant in UTC."
        )
    return -((_EPOCH - moment) // _MILLISECOND)


def ensure_feature_table(
    session: Session,
    project: str,
    name: str,
    group: FeatureGroup,
    replicas: Mapping[str, int] = cassandra.ONE_REPLICA,
) -> None:
    """Create the Cassandra table of a feature group, or add columns for new features of its document.

    A missing keyspace is created with `replicas`.
    Raises StoreError if the table has another key, or a feature another type.
    """
    keyspace = names.keyspace(project)
    columns = {column: CQL_TYPES[type_] for column, type_ in group.entity.items()}
    columns |= {"event_time": "timestamp"}
    columns |= {column: CQL_TYPES[feature.type] for column, feature in group.features.items()}
    with cassandra.SCHEMA_CHANGES:
        try:
            cassandra.ensure_keyspace(session, keyspace, replicas)
            tables = session.cluster.metadata.keyspaces[keyspace].tables
            if name not in tables:
                session.execute(_create_table(f"{keyspace}.{name}", list(group.entity), columns))
                session.cluster.refresh_keyspace_metadata(keyspace)
            table = session.cluster.metadata.keyspaces[keyspace].tables[name]
            present = {column: described.cql_type for column, described in table.columns.items()}
            check_key(session, project, name, group)
            for column, type_ in columns.items():
                if present.get(column, type_) != type_:
                    raise StoreError(
                        f"Cassandra table {keyspace}.{name} has {column} as {present[column]}, the document says "
                        f"{type_}. "
                        f"A type cannot change in place: {names.proposal(name)}."
                    )
            for column in columns.keys() - present.keys():
                session.execute(f"ALTER TABLE {keyspace}.{name} ADD IF NOT EXISTS {column} {columns[column]}")
        except CASSANDRA_FAULTS as fault:
            raise StoreError(f"Cassandra does not make the table {keyspace}.{name}: {fault}") from fault


def check_key(session: Session, project: str, name: str, group: FeatureGroup) -> None:
    """Raise StoreError if the group's table in Cassandra has another key than the document's entity."""
    keyspace = session.cluster.metadata.keyspaces.get(names.keyspace(project))
    table = keyspace.tables.get(name) if keyspace else None
    key = [column.name for column in table.partition_key] if table else list(group.entity)
    if key != list(group.entity):
        raise StoreError(
            f"Cassandra table {names.online_table(project, name)} has the key {', '.join(key)}, the group's entity "
            f"is {', '.join(group.entity)}. A key cannot change in place: {names.proposal(name)}."
        )


def features_online(session: Session, project: str, name: str) -> dict[str, str] | None:
    """The feature columns of a group's table in Cassandra, with CQL types; None if there is no table.

    Reads Cassandra's schema tables, since a session's cached schema may be seconds old. Raises StoreError.
    """
    try:
        columns = list(
            session.execute(
                "SELECT column_name, kind, type FROM system_schema.columns "
                "WHERE keyspace_name = %s AND table_name = %s",
                (names.keyspace(project), name),
            )
        )
    except CASSANDRA_FAULTS as fault:
        raise StoreError(
            f"Cassandra does not say what columns the feature group {name} has: {fault}"
        ) from fault
    if not columns:
        return None
    return {column.column_name: column.type for column in columns if column.kind == "regular"}


def drop_features(session: Session, project: str, name: str, features: Iterable[str]) -> None:
    """Drop the columns of features from a group's table, with all their values. Raises StoreError."""
    table = names.online_table(project, name)
    try:
        for feature in features:
            session.execute(f"ALTER TABLE {table} DROP IF EXISTS {feature}")
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not drop {', '.join(features)} of {table}: {fault}") from fault


def dropped_until(session: Session, project: str, name: str, features: Collection[str]) -> datetime | None:
    """When the last of these features was dropped from a group's table, None if none ever was.

    Cassandra keeps hiding values that were written to such a column at an earlier write time, even when the feature has
    come back. Raises StoreError.
    """
    try:
        rows = session.execute(
            "SELECT column_name, dropped_time FROM system_schema.dropped_columns "
            "WHERE keyspace_name = %s AND table_name = %s",
            (names.keyspace(project), name),
        )
        moments = [row.dropped_time.replace(tzinfo=UTC) for row in rows if row.column_name in features]
    except CASSANDRA_FAULTS as fault:
        raise StoreError(f"Cassandra does not say what was dropped of {name}: {fault}") from fault
    # It is kept to the millisecond, cut.
    return max(moments) + _MILLISECOND if moments else None


def _create_table(table: str, entity: Sequence[str], columns: Mapping[str, str]) -> str:
    definitions = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {table} "
        f"({definitions}, PRIMARY KEY (({', '.join(entity)}), event_time)) "
        "WITH CLUSTERING ORDER BY (event_time DESC)"
    )


def _can_be_stored(key: Key) -> bool:
    """Whether Cassandra could hold a row with this key (entity values, then the moment); otherwise it is not queried.

    A partition key is not null, not empty and at most 64 KiB long; text in it is valid Unicode.
    """
    *entity, _ = key
    try:
        sizes = [
            len(value.encode()) if isinstance(value, str) else 8 for value in entity if value is not None
        ]
    except UnicodeEncodeError:
        return False
    # Of several components each has two bytes for its length and one for its end.
    around = 3 * len(entity) if len(entity) > 1 else 0
    return None not in entity and 0 < sum(sizes) + around <= _LONGEST_KEY


class _Plan(NamedTuple):
    """How one use of a group is read: the result columns for the row's values, and for its age if needed.

    `one` reads the row of one key; `several` those of keys that differ only in the entity's last column, and returns
    that column after the row. It is None if such values cannot be distinguished.
    """

    one: PreparedStatement
    several: PreparedStatement | None
    columns: tuple[str, ...]
    age: str | None


class _Newest(NamedTuple):
    """The newest row before a moment: its event time and the values of its features, None if it is too old."""

    event_time: datetime
    values: tuple[object, ...] | None


class Found(NamedTuple):
    """The features read for each row, and the groups that could not be read, with the reason (their features are None).

    `absent` says by position which rows lack groups that were read; the features of these are None.
    """

    rows: list[dict[str, object]]
    missing: dict[str, str]
    absent: dict[int, list[Missing]]


class OnlineFeatures:
    """Reads the features of a project from Cassandra, as of any moment. One object serves all threads."""

    def __init__(
        self, session: Session, project: str, groups: Mapping[str, FeatureGroup], deadline: float = DEADLINE
    ):
        """`groups` are the feature groups by name, `deadline` the seconds that Cassandra has for one call's reads."""
        self._session = session
        self._project = project
        self._groups = groups
        self._deadline = deadline
        self._plans: dict[tuple[str, str, tuple[str, ...]], Future[_Plan]] = {}
        self._preparing = threading.Lock()
        self._history = OnlineHistory(session, project)

    def read(
        self, inputs: Inputs, rows: Sequence[Mapping[str, object]], at: Sequence[datetime]
    ) -> list[dict[str, object]]:
        """The store features in `inputs` for every row, as known at its moment in `at`.

        A row holds the key columns that `inputs.store` maps to entities. A result has a value under `use__feature` for
        every feature (see `dsl.schema.store_use`); it is None if the entity has no row, if the newest one is older than
        the group's ttl, if days that the moment sees are not online, and if a key is null. `event_age` is the time from
        the row's event time to the moment, in seconds. All groups and all distinct keys are read at once.

        Raises StoreError if Cassandra does not answer in time or a group has never been pushed, NotFoundError if
        `inputs` names a group that the project does not have.
        """
        found = self.read_what_there_is(inputs, rows, at)
        if found.missing:
            raise StoreError("; ".join(found.missing.values()))
        return found.rows

    def read_what_there_is(
        self,
        inputs: Inputs,
        rows: Sequence[Mapping[str, object]],
        at: Sequence[datetime],
        seconds: float | None = None,
    ) -> Found:
        """Like `read`, but a group that cannot be read (Cassandra does not answer before the deadline, or it has never
        been pushed) is reported as missing, with its features None in every row.

        `seconds` from now is the deadline for all of it, if earlier than this object's own. Raises NotFoundError if
        `inputs` names a group that the project does not have.
        """
        allowed = self._deadline if seconds is None else max(0.0, min(seconds, self._deadline))
        until = monotonic() + allowed
        answers: list[dict[str, object]] = [{} for _ in rows]
        absences: dict[int, list[Missing]] = {}
        moments = [milliseconds(moment) for moment in at]
        keys = {use: self._keys(store, rows, moments) for use, store in inputs.store.items()}
        missing: dict[str, str] = {}
        self._history.refresh()
        plans = self._ready_plans(inputs, missing, allowed, until)
        found = self._fetch(inputs, plans, keys, missing, allowed, until)
        complete = self._history.complete_from(max(0.0, until - monotonic()))
        for use, store in inputs.store.items():
            if store.group in missing:
                absent = dict.fromkeys(names.store_column(use, feature) for feature in store.features)
                for answer in answers:
                    answer.update(absent)
                continue
            plan = plans[use]
            nothing = dict.fromkeys(plan.columns if plan.age is None else (*plan.columns, plan.age))
            ttl, begin = self._groups[store.group].ttl, complete.get(store.group)
            for place, (answer, key, moment) in enumerate(zip(answers, keys[use], at, strict=True)):
                row = found[use].get(key)
                if row is None or row.values is None or (begin is not None and row.event_time < begin):
                    answer.update(nothing)
                    reason = _reason(key, row, moment, ttl, begin)
                    absences.setdefault(place, []).append(Missing(use, store.group, reason, begin))
                    continue
                answer.update(zip(plan.columns, row.values, strict=True))
                if plan.age is not None:
                    answer[plan.age] = (moment - row.event_time).total_seconds()
        return Found(answers, missing, absences)

    def _keys(
        self, store: StoreInput, rows: Sequence[Mapping[str, object]], moments: Sequence[int]
    ) -> list[Key]:
        """The keys with which each row reads a group: the values of its entity, and the moment."""
        if store.group not in self._groups:
            raise NotFoundError(f"project {self._project} has no feature group {store.group}.")
        columns = [store.keys[entity] for entity in self._groups[store.group].entity]
        return [
            (*(row[column] for column in columns), moment) for row, moment in zip(rows, moments, strict=True)
        ]

    def _fetch(
        self,
        inputs: Inputs,
        plans: Mapping[str, _Plan],
        keys: Mapping[str, Sequence[Key]],
        missing: dict[str, str],
        allowed: float,
        until: float,
    ) -> dict[str, dict[Key, _Newest]]:
        """The newest rows of every use by key; a group with a failed read is missing and not read any further.

        The clock of the deadline `until` began `allowed` seconds before it.
        """
        reads = [
            (use, together)
            for use, plan in plans.items()
            for together in _together(
                filter(_can_be_stored, keys[use]), 1 if plan.several is None else TOGETHER
            )
        ]
        found: dict[str, dict[Key, _Newest]] = {use: {} for use in keys}
        for first in range(0, len(reads), MAX_IN_FLIGHT):
            batch = [
                (use, together)
                for use, together in reads[first : first + MAX_IN_FLIGHT]
                if inputs.store[use].group not in missing
            ]
            left = max(_LEAST, until - monotonic())
            futures = [self._ask(plans[use], together, left) for use, together in batch]
            for (use, together), future in zip(batch, futures, strict=True):
                store = inputs.store[use]
                try:
                    rows = future.result()
                except CASSANDRA_FAULTS as fault:
                    missing.setdefault(store.group, self._unanswered(store.group, str(fault), allowed))
                    continue
                *begin, _, moment = together[0]
                for row in rows:
                    key = together[0] if len(together) == 1 else (*begin, row[-1], moment)
                    found[use][key] = self._newest(store, moment, row)
        return found

    def _ask(self, plan: _Plan, together: Sequence[Key], seconds: float) -> ResponseFuture:
        """Start to read the rows of these keys, which `_together` grouped."""
        if len(together) == 1 or plan.several is None:
            return self._session.execute_async(
                plan.one, together[0], timeout=seconds, execution_profile=cassandra.FEATURES
            )
        *begin, _, moment = together[0]
        asked = (*begin, [key[-2] for key in together], moment)
        return self._session.execute_async(
            plan.several, asked, timeout=seconds, execution_profile=cassandra.FEATURES
        )

    def _unanswered(self, group: str, reason: str, allowed: float) -> str:
        return (
            f"Cassandra does not answer a read of the feature group {group} of {self._project} "
            f"within {allowed:.3g} s: {reason}"
        )

    def _newest(self, store: StoreInput, moment: int, row: Sequence[Any]) -> _Newest:
        """The state at a moment of a row that begins with event time and features."""
        ttl = self._groups[store.group].ttl
        event = row[0].replace(tzinfo=UTC)
        if ttl is not None and milliseconds(event) < moment - ttl // _MILLISECOND:
            return _Newest(event, None)
        values = tuple(
            value.replace(tzinfo=UTC) if type_ == "timestamp" and value is not None else value
            for value, type_ in zip(row[1:], store.stored.values(), strict=False)
        )
        return _Newest(event, values)

    def _ready_plans(
        self, inputs: Inputs, missing: dict[str, str], allowed: float, until: float
    ) -> dict[str, _Plan]:
        """The plans of the uses whose groups can be read; the others are recorded as missing."""
        preparing = {use: self._plan(use, store) for use, store in inputs.store.items()}
        plans = {}
        for use, future in preparing.items():
            group = inputs.store[use].group
            try:
                plans[use] = future.result(max(0.0, until - monotonic()))
            except TimeoutError:
                missing.setdefault(
                    group, self._unanswered(group, "the statement is still to be prepared", allowed)
                )
            except StoreError as fault:
                missing.setdefault(group, str(fault))
        return {use: plan for use, plan in plans.items() if inputs.store[use].group not in missing}

    def _plan(self, use: str, store: StoreInput) -> "Future[_Plan]":
        """The plan of a use, or its future: Cassandra prepares it once, however long a request waits for it."""
        wanted = (use, store.group, tuple(store.features))
        plan = self._plans.get(wanted)
        if plan is None or _has_failed(plan):
            with self._preparing:
                plan = self._plans.get(wanted)
                if plan is None or _has_failed(plan):
                    plan = self._plans[wanted] = Future()
                    threading.Thread(target=self._make_plan, args=(plan, use, store), daemon=True).start()
        return plan

    def _make_plan(self, plan: "Future[_Plan]", use: str, store: StoreInput) -> None:
        stored = tuple(store.stored)
        columns = tuple(names.store_column(use, feature) for feature in stored)
        age = names.store_column(use, AGE) if AGE in store.features else None
        try:
            plan.set_result(_Plan(*self._prepare(store.group, stored), columns, age))
        except Exception as fault:  # noqa: BLE001 (whoever waits for the plan raises it)
            plan.set_exception(fault)

    def _prepare(
        self, name: str, features: tuple[str, ...]
    ) -> tuple[PreparedStatement, PreparedStatement | None]:
        """The statements `one` and `several` of a plan."""
        table = f"{names.keyspace(self._project)}.{name}"
        *begin, last = self._groups[name].entity
        columns = ", ".join(("event_time", *features))
        where = "".join(f"{column} = ? AND " for column in begin)
        try:
            one = self._session.prepare(
                f"SELECT {columns} FROM {table} WHERE {where}{last} = ? AND event_time < ? LIMIT 1"
            )
            one.is_idempotent = True
            if self._groups[name].entity[last] not in _FOUND_AGAIN:
                return one, None
            several = self._session.prepare(
                f"SELECT {columns}, {last} FROM {table} WHERE {where}{last} IN ? AND event_time < ? "
                "PER PARTITION LIMIT 1"
            )
            several.is_idempotent = True
            return one, several
        except InvalidRequest as fault:
            raise StoreError(
                f"Cassandra has no {table} with {', '.join(features)}: "
                f"materialize the feature group {name} first ({fault})."
            ) from fault
        except CASSANDRA_FAULTS as fault:
            raise StoreError(f"Cassandra does not answer: {fault}") from fault


def _reason(
    key: Key, row: _Newest | None, moment: datetime, ttl: timedelta | None, begin: datetime | None
) -> Reason:
    """Why a row of a request lacks a group, of which the days from `begin` on are online (None: all)."""
    if begin is not None and (ttl is None or moment - ttl < begin) and _can_be_stored(key):
        return Reason.BEFORE_HISTORY
    return Reason.NO_ROW if row is None else Reason.TOO_OLD


def _together(keys: Iterable[Key], most: int) -> list[list[Key]]:
    """The distinct keys, in lists of at most `most` that share all but the entity's last column."""
    alike: dict[Key, list[Key]] = {}
    for key in dict.fromkeys(keys):
        *begin, _, moment = key
        alike.setdefault((*begin, moment), []).append(key)
    return [some[first : first + most] for some in alike.values() for first in range(0, len(some), most)]


def _has_failed(plan: "Future[_Plan]") -> bool:
    return plan.done() and plan.exception() is not None
