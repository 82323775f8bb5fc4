"""The pages of the catalogue: all feature groups with a search, and one group with its values over the days."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from giornata.catalogue.entries import GroupEntry, entries, search, source_of
from giornata.catalogue.live import live_versions
from giornata.catalogue.validation import Judged, judged
from giornata.console.charts import Chart, ChartDay, day_chart
from giornata.console.rendering import number, page, percent
from giornata.console.sources import Sources, sources
from giornata.documents import ProjectDocuments
from giornata.errors import NotFoundError
from giornata.names import dag_id
from giornata.records.feature_statistics import FeatureStatistics
from giornata.records.validation_result import LATELY

From = Annotated[Sources, Depends(sources)]

SHOWN_DAYS = 120


def router() -> APIRouter:
    """The routes of the catalogue's pages."""
    routes = APIRouter()
    routes.add_api_route("/features", features_page, name="features")
    routes.add_api_route("/features/{project}/{group}", group_page, name="group")
    return routes


def features_page(request: Request, source: From, search: str = "") -> Response:
    """Every feature group of every project, or those that match all words of `search`."""
    projects = source.projects()
    broken = {name: found for name, found in projects.items() if not isinstance(found, ProjectDocuments)}
    values = {"groups": catalogue(source, search), "broken": broken, "search": search.strip()}
    return page(request, "features.html", values)


def group_page(request: Request, source: From, project: str, group: str) -> Response:
    """A group: its document, its freshness, and its features by day."""
    documents = documents_of(source, project, group)
    entry = group_entry(source, documents, group)
    statistics = recent(source, entry)
    by_feature: dict[str, list[FeatureStatistics]] = {feature.name: [] for feature in entry.features}
    for found in statistics:
        by_feature.setdefault(found.feature, []).append(found)
    values = {
        "group": entry,
        "dag": dag_id(project, "features"),
        "rows_chart": _rows_chart(statistics),
        "features": [(feature, _charts(by_feature[feature.name])) for feature in entry.features],
        "shown_days": SHOWN_DAYS,
        "expectations": expectations_of(source, entry),
        "lately": LATELY,
        "source": source_of(documents, group),
    }
    return page(request, "group.html", values)


def catalogue(source: Sources, text: str) -> list[GroupEntry]:
    """The entries of all groups with valid documents, or of those that match all words of `text`."""
    projects = [found for found in source.projects().values() if isinstance(found, ProjectDocuments)]
    live = live_versions(source.stores.session, [documents.name for documents in projects])
    statistics = source.stores.statistics
    found = []
    for documents in projects:
        newest = {group: statistics.newest(documents.name, group) for group in documents.groups}
        found += entries(documents, newest, live, datetime.now(UTC))
    return search(found, text)


def documents_of(source: Sources, project: str, group: str) -> ProjectDocuments:
    """The documents of a group's project. Raises NotFoundError if there is no such group."""
    documents = source.projects().get(project)
    if not isinstance(documents, ProjectDocuments):
        raise NotFoundError(f"there is no project {project}, or its documents have mistakes.")
    documents.group(group)
    return documents


def group_entry(source: Sources, documents: ProjectDocuments, group: str) -> GroupEntry:
    """The entry of one group."""
    live = live_versions(source.stores.session, [documents.name])
    newest = {group: source.stores.statistics.newest(documents.name, group)}
    return next(entry for entry in entries(documents, newest, live, datetime.now(UTC)) if entry.name == group)


def recent(source: Sources, entry: GroupEntry) -> list[FeatureStatistics]:
    """The statistics of the last SHOWN_DAYS days of a group, counted back from its newest."""
    if entry.newest is None:
        return []
    end = entry.newest + timedelta(days=1)
    return source.stores.statistics.read(entry.project, entry.name, end - timedelta(days=SHOWN_DAYS), end)


def expectations_of(source: Sources, entry: GroupEntry) -> list[Judged]:
    """The expectations of a group, with their recent results."""
    return judged(entry.document, source.stores.validations.lately(entry.project, entry.name))


def _rows_chart(statistics: list[FeatureStatistics]) -> Chart | None:
    rows: dict[date, int] = {found.day: found.rows for found in statistics}
    days = [ChartDay(day, count, text=f"{day}: {count} rows") for day, count in rows.items()]
    return day_chart("rows", days, (0, 1))


def _charts(statistics: list[FeatureStatistics]) -> list[Chart]:
    """The charts of one feature: its values, and the share of missing ones."""
    charts = [
        _value_chart(statistics),
        day_chart("missing, %", [_missing(found) for found in statistics], (0, 1)),
    ]
    return [chart for chart in charts if chart]


def _missing(found: FeatureStatistics) -> ChartDay:
    share = found.null_share
    said = "" if share is None else f"{found.day}: {percent(share)} of {found.rows} rows"
    return ChartDay(found.day, _percent(share), text=said)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _value_chart(statistics: list[FeatureStatistics]) -> Chart | None:
    for title, value, ends in _VALUES:
        drawn = day_chart(title, [value(found) for found in statistics], ends)
        if drawn:
            return drawn
    return None


def _mean(found: FeatureStatistics) -> ChartDay:
    quantiles = " ".join(map(number, (found.q05, found.q25, found.q50, found.q75, found.q95)))
    said = (
        f"{found.day}: mean {number(found.mean)}, from {number(found.minimum)} to {number(found.maximum)}, "
        f"quantiles 5 25 50 75 95 %: {quantiles}"
    )
    return ChartDay(found.day, found.mean, found.q05, found.q95, said)


def _true(found: FeatureStatistics) -> ChartDay:
    share = found.true_share
    return ChartDay(
        found.day, _percent(share), text="" if share is None else f"{found.day}: {percent(share)} true"
    )


def _distinct(found: FeatureStatistics) -> ChartDay:
    count = found.distinct
    return ChartDay(found.day, count, text=f"{found.day}: {count} values")


_VALUES: tuple[tuple[str, Callable[[FeatureStatistics], ChartDay], tuple[float, ...]], ...] = (
    ("mean", _mean, ()),
    ("true, %", _true, (0, 100)),
    ("different values", _distinct, (0, 1)),
)
