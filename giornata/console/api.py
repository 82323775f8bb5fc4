"""The JSON API: the same facts as the pages, for programs."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from giornata.catalogue.entries import GroupEntry
from giornata.console.accuracy import EVER
from giornata.console.features import catalogue, documents_of, expectations_of, group_entry
from giornata.console.origin import require_same_origin
from giornata.console.sources import Sources, sources
from giornata.deployment import deploy
from giornata.errors import NotFoundError
from giornata.names import check_name
from giornata.records.alert import ALL_ROWS
from giornata.records.feature_statistics import FeatureStatistics
from giornata.records.metric_point import Point
from giornata.records.model_version import ModelVersion, VersionSummary
from giornata.records.validation_result import Validation
from giornata.stores.deployments import Deployment

From = Annotated[Sources, Depends(sources)]


class DeploymentRequest(BaseModel):
    """Body of POST /deployments; tag and modes default to those of the version's own document."""

    model_config = ConfigDict(extra="forbid")

    uuid: str
    reason: Annotated[str, Field(min_length=1)]
    tag: str | None = None
    modes: Annotated[list[Literal["batch", "online"]], Field(min_length=1)] | None = None


def router(require_editor: Callable[..., Any]) -> APIRouter:
    """The routes of the API; `require_editor` is the dependency that guards deployment."""
    routes = APIRouter()
    routes.add_api_route("/models", models)
    routes.add_api_route("/models/{project}/{model}", model_versions)
    routes.add_api_route("/models/{project}/{model}/runs", runs)
    routes.add_api_route("/versions/{uuid}", version)
    routes.add_api_route("/deployments", deployments)
    routes.add_api_route("/metrics", metrics)
    routes.add_api_route("/features", all_features)
    routes.add_api_route("/features/{project}/{group}", feature_group)
    routes.add_api_route("/features/{project}/{group}/statistics", feature_statistics)
    routes.add_api_route("/features/{project}/{group}/validations", validations)

    @routes.post("/deployments", status_code=201, dependencies=[Depends(require_same_origin)])
    def make_deployment(
        wanted: DeploymentRequest, source: From, editor: Annotated[str, Depends(require_editor)]
    ) -> Deployment:
        if wanted.tag:
            check_name(wanted.tag)
        return deploy(
            source.settings,
            source.stores.session,
            wanted.uuid,
            editor,
            wanted.reason,
            datetime.now(UTC),
            wanted.tag,
            wanted.modes,
        )

    return routes


def models(source: From) -> list[dict[str, Any]]:
    """Every model that was ever trained: number of versions, the latest one, and the uuid under each tag."""
    versions: dict[str, list[VersionSummary]] = {}
    for summary in source.stores.repository.list():
        versions.setdefault(summary.model, []).append(summary)
    current = source.stores.deployments.all_current()
    return [
        {
            "model": name,
            "versions": len(own),
            "latest": own[0],
            "tags": {entry.tag: entry.uuid for entry in current if entry.model == name},
        }
        for name, own in sorted(versions.items())
    ]


def model_versions(source: From, project: str, model: str) -> dict[str, Any]:
    """The versions of a model, newest first, and the live ones of its tags."""
    name = f"{project}/{model}"
    versions = source.stores.repository.list(name)
    if not versions:
        raise NotFoundError(f"no version of {name} was trained.")
    live = [entry for entry in source.stores.deployments.all_current() if entry.model == name]
    return {"model": name, "versions": versions, "live": live}


def runs(source: From, project: str, model: str) -> list[dict[str, Any]]:
    """Training runs of a model, newest first; `silent` marks a running one that has not reported for too long."""
    now = datetime.now(UTC)
    found = source.stores.runs.list(f"{project}/{model}")
    return [{**asdict(run), "silent": run.silent(now)} for run in found]


def version(source: From, uuid: str) -> ModelVersion:
    """The whole record of a version."""
    return source.stores.repository.get(uuid)


def deployments(source: From, model: str | None = None, tag: str | None = None) -> list[Deployment]:
    """The timeline of a model's tag, newest first; without model and tag, the live deployments of every tag."""
    if model and tag:
        return source.stores.deployments.timeline(model, tag)
    current = source.stores.deployments.all_current()
    return [e for e in current if model in (None, e.model) and tag in (None, e.tag)]


def metrics(
    source: From,
    model: str,
    tag: str,
    metric: str,
    mode: Literal["batch", "online"] = "batch",
    window: str = "1d",
    part: str = ALL_ROWS,
    start: date = EVER[0],
    end: date = EVER[1],
) -> list[dict[str, Any]]:
    """A metric over time: the windows that end on days with `start` <= day < `end`, oldest first."""
    points: list[Point] = source.stores.series.read(model, tag, mode, metric, window, start, end, part)
    return [asdict(point) for point in points]


def all_features(source: From, search: str = "") -> list[dict[str, Any]]:
    """Every feature group, or those that match all words of `search`, with features and uses."""
    return [_group(entry) for entry in catalogue(source, search)]


def feature_group(source: From, project: str, group: str) -> dict[str, Any]:
    """One feature group: document, newest day, features and their uses, results of expectations."""
    entry = group_entry(source, documents_of(source, project, group), group)
    return {**_group(entry), "document": entry.document, "expectations": expectations_of(source, entry)}


def feature_statistics(
    source: From, project: str, group: str, start: date = EVER[0], end: date = EVER[1]
) -> list[FeatureStatistics]:
    """Statistics of a group's features on the days with `start` <= day < `end`, oldest first."""
    documents_of(source, project, group)
    return source.stores.statistics.read(project, group, start, end)


def validations(
    source: From, project: str, group: str, start: date = EVER[0], end: date = EVER[1]
) -> list[Validation]:
    """Results of expectations for ranges that have days with `start` <= day < `end`, oldest first."""
    documents_of(source, project, group)
    return source.stores.validations.read(project, group, start, end)


def _group(entry: GroupEntry) -> dict[str, Any]:
    return {
        "group": entry.full_name,
        "description": entry.document.description,
        "owner": entry.document.owner,
        "entity": entry.document.entity,
        "computed": entry.cadence,
        "newest_day": entry.newest,
        "rows": entry.rows,
        "late_since": entry.late_since,
        "features": [asdict(feature) for feature in entry.features],
        "used_by": entry.uses,
    }
