"""What versions that are live read, against what the documents still have: a feature in use cannot silently go."""

from collections.abc import Iterable, Iterator, Mapping

from dsl.types import AGE
from giornata.catalogue.versions import LiveVersion
from giornata.documents import ProjectDocuments
from giornata.documents.record import StoreInput


def deployed_problems(documents: ProjectDocuments, live: Iterable[LiveVersion]) -> list[str]:
    """What live versions of a project's models read and its documents no longer have, a sentence each.

    That is a feature group, one of its features with its type, its entity, and, of a version that scores in batch,
    the columns of its table: the rows of online requests are the caller's affair.
    """
    return [
        f"version {each.version.uuid} of {each.model}, live as {', '.join(each.tags)}, {problem}"
        for each in live
        if each.project == documents.name
        for problem in [*_store_problems(documents, each), *_row_problems(documents, each)]
    ]


def _store_problems(documents: ProjectDocuments, live: LiveVersion) -> Iterator[str]:
    for read in live.version.signature.store.values():
        group = documents.groups.get(read.group)
        if group is None:
            yield f"reads feature group {read.group}, which the documents no longer have"
            continue
        features = {name: feature.type for name, feature in group.features.items()}
        for name, type_ in read.features.items():
            if name != AGE:
                yield from _column(f"{read.group}.{name}", type_, features.get(name))
        known = _entity(live, read)
        if known != _comparable(group.entity, known):
            yield (
                f"reads {read.group} by the entity {_listed(known)}, "
                f"which the documents now have as {_listed(group.entity)}"
            )


def _entity(live: LiveVersion, read: StoreInput) -> dict[str, str]:
    """The entity that a version knows a group by; its types are not in records from before these held groups."""
    group = live.version.groups.get(read.group)
    return dict(group.entity) if group else dict.fromkeys(read.keys, "")


def _comparable(entity: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {name: type_ if known.get(name) != "" else "" for name, type_ in entity.items()}


def _listed(entity: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({type_})" if type_ else name for name, type_ in entity.items())


def _row_problems(documents: ProjectDocuments, live: LiveVersion) -> Iterator[str]:
    if "batch" not in live.modes:
        return
    name, signature = live.version.configuration.data.table, live.version.signature
    table = documents.tables.get(name)
    if table is None:
        yield f"scores the rows of table {name}, which the documents no longer have"
        return
    identifying = [*signature.key, signature.event_time]
    read = {column: str(live.version.table.columns[column]) for column in identifying}
    read |= {column: str(found.type) for column, found in signature.inputs.items()}
    for column, type_ in read.items():
        found = table.columns.get(column)
        yield from _column(f"{name}.{column}", type_, str(found) if found else None)


def _column(name: str, type_: str, found: str | None) -> Iterator[str]:
    if found is None:
        yield f"reads {name} ({type_}), which the documents no longer have"
    elif found != type_:
        yield f"reads {name} as {type_}, which the documents now have as {found}"
