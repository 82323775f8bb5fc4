"""The entries of the catalogue: each group with everything known about it, and the search over groups."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from giornata.catalogue.freshness import late_since
from giornata.catalogue.uses import Use, Uses
from giornata.catalogue.versions import LiveVersion
from giornata.documents import FeatureGroup, ProjectDocuments
from giornata.documents.base import format_duration
from giornata.documents.text_files import read_text, shown_path
from giornata.names import group_file
from giornata.records.feature_statistics import FeatureStatistics


@dataclass(frozen=True)
class FeatureEntry:
    """A feature: its document, its statistics on the newest day (None: unknown), the models that use it."""

    name: str
    type: str
    description: str
    statistics: FeatureStatistics | None
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class GroupEntry:
    """A feature group. `newest` is the newest published day and `rows` its number of rows, None if there is none.

    `cadence` says in words when it is computed, `late_since` since when its next day is late (None: it is not).
    """

    project: str
    name: str
    document: FeatureGroup
    cadence: str
    newest: date | None
    rows: int | None
    late_since: datetime | None
    features: tuple[FeatureEntry, ...]
    uses: tuple[Use, ...]

    @property
    def full_name(self) -> str:
        """`project/group`."""
        return f"{self.project}/{self.name}"

    @property
    def entity(self) -> str:
        """The entity columns and their types: `origin (str)`."""
        return ", ".join(f"{column} ({type_})" for column, type_ in self.document.entity.items())

    @property
    def ttl(self) -> str:
        """The age beyond which a value counts as missing, in words."""
        return (
            f"ttl {format_duration(self.document.ttl)}" if self.document.ttl else "no ttl: values do not age"
        )

    @property
    def history(self) -> str:
        """How far back the past can be read online, in words."""
        if self.document.ttl is None:
            return "the whole past can be asked about"
        return f"the last {format_duration(self.document.history)} before the newest day can be asked about"

    @property
    def sla(self) -> str:
        """When a day must be published, in words; empty if the document does not say."""
        sla = self.document.sla
        return f"each day due {format_duration(sla)} after its end" if sla else ""


@dataclass(frozen=True)
class SourceText:
    """The source of a group: its `kind` (SQL, Python or document) and the text of that file."""

    kind: str
    text: str


def entries(
    documents: ProjectDocuments,
    newest: Mapping[str, Sequence[FeatureStatistics]] | None,
    live: Iterable[LiveVersion],
    now: datetime,
) -> list[GroupEntry]:
    """An entry for every group of a project, by name.

    `newest` holds the statistics of the newest day of each group that has any, None if the store did not answer: then
    no day is reported as late. `now` is the moment for which that is decided.
    """
    uses = Uses(documents, live)
    found = []
    for name, group in sorted(documents.groups.items()):
        statistics = (newest or {}).get(name, ())
        day = statistics[0].day if statistics else None
        by_feature = {each.feature: each for each in statistics}
        late = None if newest is None else late_since(group, day, documents.project.start_date, now)
        features = tuple(
            FeatureEntry(
                feature,
                declared.type,
                declared.description,
                by_feature.get(feature),
                uses.of(name, feature),
            )
            for feature, declared in group.features.items()
        )
        found.append(
            GroupEntry(
                project=documents.name,
                name=name,
                document=group,
                cadence=_cadence(documents, group),
                newest=day,
                rows=statistics[0].rows if statistics else None,
                late_since=late,
                features=features,
                uses=uses.of_group(name),
            )
        )
    return found


def _cadence(documents: ProjectDocuments, group: FeatureGroup) -> str:
    if group.schedule:
        return f"by its own schedule, {group.schedule}"
    return f"with the project's data, {documents.project.schedule or 'on request'}"


def search(found: Iterable[GroupEntry], text: str) -> list[GroupEntry]:
    """The groups in which every word of `text` occurs, in any case, in names, descriptions, owners or entities.

    A group in which a word occurs only in some of its features is returned with these features only.
    """
    words = text.lower().split()
    results = []
    for group in found:
        about = f"{group.full_name} {group.document.description} {group.document.owner} {group.entity}"
        missing = [word for word in words if word not in about.lower()]
        features = tuple(
            feature
            for feature in group.features
            if all(word in f"{feature.name} {feature.description}".lower() for word in missing)
        )
        if features:
            results.append(replace(group, features=features))
    return results


def source_of(documents: ProjectDocuments, group: str) -> SourceText:
    """The source of a group: the file next to its document or, if there is none, the document itself.

    Raises NotFoundError for a group that the project does not have.
    """
    documents.group(group)
    folder = documents.folder / "features"
    for suffix, kind in ((".sql", "SQL"), (".py", "Python")):
        file = folder / f"{group_file(group)}{suffix}"
        if file.is_file():
            return SourceText(kind, read_text(file, shown_path(file)).strip())
    document = folder / f"{group_file(group)}.yaml"
    return SourceText("document", read_text(document, shown_path(document)).strip())
