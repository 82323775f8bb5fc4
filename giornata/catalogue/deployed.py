"""Compares the features that live versions read with the documents, so that no feature in use disappears unnoticed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from dsl.schema import AGE
from giornata.catalogue.meaning import digest, is_same
from giornata.catalogue.versions import LiveVersion
from giornata.documents import FeatureGroup, ProjectDocuments
from giornata.documents.base import format_duration
from giornata.documents.group_source import GroupSource, read_source
from giornata.names import group_file, group_version, newest_versions, proposal
from giornata.records.model_version import ModelVersion, RecordedStoreInput

KEEP = "put it back until a version that does not read it is live in its place"
RENAME = "leave it as it is and give the new column another name"


class Lack(NamedTuple):
    """A feature that a version reads and the documents no longer have in this form: `reads …, which …`, and what to
    do."""

    what: str
    remedy: str


def deployed_problems(documents: ProjectDocuments, live: Iterable[LiveVersion]) -> list[str]:
    """Everything that live versions of a project's models read and its documents no longer have, one sentence each.

    That is a feature group, one of its features with type and meaning, its entity, and, for a version that scores in
    batch, the columns of its table. Columns of online requests are up to the caller.
    """
    sources = _sources(documents)
    return [
        _sentence(each, lack)
        for each in live
        if each.project == documents.name
        for lack in [*_store_lacks(documents.groups, sources, each.version), *_row_lacks(documents, each)]
    ]


def group_problems(
    project: str,
    name: str,
    group: FeatureGroup | None,
    source: GroupSource | None,
    live: Iterable[LiveVersion],
) -> list[str]:
    """Everything that live versions read of a group and its document (None: it is gone) no longer has, one sentence
    each.

    Without a source, the meaning of its rows is not compared.
    """
    groups = {name: group} if group else {}
    return [
        _sentence(each, lack)
        for each in live
        if each.project == project
        for lack in _store_lacks(groups, lambda _: source, each.version, name)
    ]


def superseded(documents: ProjectDocuments, live: Iterable[LiveVersion]) -> list[str]:
    """For each group version that has a newer one: which live versions still read it, or that none does."""
    readers: dict[str, list[str]] = {}
    for each in live:
        if each.project == documents.name:
            for name in sorted({read.group for read in each.version.signature.store.values()}):
                reader = f"version {each.version.uuid} of {each.model}, live as {', '.join(each.tags)}"
                readers.setdefault(name, []).append(reader)
    newest = newest_versions(documents.groups)
    lines = []
    for name in sorted(documents.groups.keys() - set(newest.values())):
        file = f"features/{group_file(name)}.yaml"
        by = f"has a newer version, features/{group_file(newest[group_version(name)[0]])}.yaml"
        if name in readers:
            lines.append(f"{file} {by}, and is still read: {'; '.join(readers[name])}")
        else:
            lines.append(f"{file} {by}, and no live version reads it: it may be removed, with its source")
    return lines


def version_lacks(documents: ProjectDocuments, version: ModelVersion) -> list[Lack]:
    """The feature groups and features that a version reads and the documents of its project lack."""
    return list(_store_lacks(documents.groups, _sources(documents), version))


def _sentence(live: LiveVersion, lack: Lack) -> str:
    return f"version {live.version.uuid} of {live.model}, live as {', '.join(live.tags)}, {lack.what}: {lack.remedy}"


def _sources(documents: ProjectDocuments) -> Callable[[str], GroupSource | None]:
    return lambda group: read_source(documents, group)


def _store_lacks(
    groups: Mapping[str, FeatureGroup],
    source_of: Callable[[str], GroupSource | None],
    version: ModelVersion,
    only: str | None = None,
) -> Iterator[Lack]:
    for read in version.signature.store.values():
        if only not in (None, read.group):
            continue
        group = groups.get(read.group)
        if group is None:
            yield Lack(f"reads feature group {read.group}, which the documents no longer have", KEEP)
            continue
        features = {name: feature.type for name, feature in group.features.items()}
        for name, type_ in read.features.items():
            if name != AGE:
                remedy = proposal(read.group, groups)
                yield from _column(f"{read.group}.{name}", type_, features.get(name), remedy)
        known = _entity(version, read)
        if known != _comparable(group.entity, known):
            yield Lack(
                f"reads {read.group} by the entity {_listed(known)}, "
                f"which the documents now have as {_listed(group.entity)}",
                proposal(read.group, groups),
            )
        yield from _meaning_lacks(version, read, group, source_of(read.group), proposal(read.group, groups))


def _meaning_lacks(
    version: ModelVersion,
    read: RecordedStoreInput,
    group: FeatureGroup,
    source: GroupSource | None,
    remedy: str,
) -> Iterator[Lack]:
    """Differences between the meaning of a group in a version's record and in its document.

    Records from before groups or sources were recorded have none.
    """
    known, then = version.groups.get(read.group), version.sources.get(read.group)
    if known is None:
        return
    if known.ttl != group.ttl:
        yield Lack(
            f"reads {read.group} with {_ttl(known)}, which the documents now have with {_ttl(group)}", remedy
        )
    if known.events != group.events:
        yield Lack(
            f"reads {read.group} of {_events(known, then)}, which the documents now have of {_events(group, source)}",
            remedy,
        )
    for name in read.features:
        was, now = (each.features.get(name) for each in (known, group))
        if was and now and was.window != now.window and known.events == group.events:
            yield Lack(
                f"reads {read.group}.{name} with the window {was.window}, which the documents now have with "
                f"{now.window}",
                remedy,
            )
    # What is gone is told already.
    columns = {*group.entity, "event_time", *(read.features.keys() & group.features.keys())}
    if known.events or group.events or not then or not source or is_same(then, source, columns):
        return
    digests = [digest(then), digest(source)]
    if not set(digests) <= set(group.same_meaning):
        yield Lack(
            f"reads {read.group}, whose {then.kind} is now another"
            + ("" if then.kind == source.kind else f", a {source.kind}"),
            f"{remedy}; or, if it means the same, write same_meaning: [{', '.join(digests)}] in "
            f"features/{group_file(read.group)}.yaml",
        )


def _ttl(group: FeatureGroup) -> str:
    return f"ttl {format_duration(group.ttl)}" if group.ttl else "no ttl"


def _events(group: FeatureGroup, source: GroupSource | None) -> str:
    """The source of a group's rows in words, with all settings of its events."""
    if group.events is None:
        return f"a {source.kind}" if source else "a query or function"
    told = group.events
    return f"windows over {told.table} by {told.event_time}, filed_ahead {format_duration(told.filed_ahead)}"


def _entity(version: ModelVersion, read: RecordedStoreInput) -> dict[str, str]:
    """The entity by which a version knows a group, without types in records from before groups were recorded."""
    group = version.groups.get(read.group)
    return dict(group.entity) if group else dict.fromkeys(read.keys, "")


def _comparable(entity: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {name: type_ if known.get(name) != "" else "" for name, type_ in entity.items()}


def _listed(entity: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({type_})" if type_ else name for name, type_ in entity.items())


def _row_lacks(documents: ProjectDocuments, live: LiveVersion) -> Iterator[Lack]:
    if "batch" not in live.modes:
        return
    name, signature = live.version.configuration.data.table, live.version.signature
    table = documents.tables.get(name)
    if table is None:
        yield Lack(f"scores the rows of table {name}, which the documents no longer have", KEEP)
        return
    identifying = [*signature.key, signature.event_time]
    read = {column: str(live.version.table.columns[column]) for column in identifying}
    read |= {column: str(found.type) for column, found in signature.inputs.items()}
    for column, type_ in read.items():
        found = table.columns.get(column)
        yield from _column(f"{name}.{column}", type_, str(found) if found else None, RENAME)


def _column(name: str, type_: str, found: str | None, remedy: str) -> Iterator[Lack]:
    if found is None:
        yield Lack(f"reads {name} ({type_}), which the documents no longer have", KEEP)
    elif found != type_:
        yield Lack(f"reads {name} as {type_}, which the documents now have as {found}", remedy)
