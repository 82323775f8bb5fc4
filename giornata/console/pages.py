"""The HTML pages: gathers the data of a page; the templates render it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

import yaml
from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from giornata.bundle import open_bundle
from giornata.console.accuracy import alerts_of, live_accuracy
from giornata.console.consistency import live_consistency
from giornata.console.origin import require_same_origin
from giornata.console.rendering import page
from giornata.console.sources import Sources, sources
from giornata.deployment import deploy
from giornata.documents import ModelSpec, ProjectDocuments
from giornata.errors import BundleError, GateError, InvalidNameError, NotFoundError, SignatureError
from giornata.example import ExampleRequest, example
from giornata.names import check_name, dag_id
from giornata.records.model_version import ModelVersion, VersionSummary
from giornata.search.description import describe_search
from giornata.stores.deployments import Deployment
from giornata.stores.online_history import covered_days
from giornata.tasks import TASKS

From = Annotated[Sources, Depends(sources)]


@dataclass(frozen=True)
class ModelView:
    """A model in a list: its document (None if it is gone), its versions, the live ones."""

    project: str
    name: str
    spec: ModelSpec | None
    versions: tuple[VersionSummary, ...]
    live: tuple[Deployment, ...]

    @property
    def full_name(self) -> str:
        """`project/model`."""
        return f"{self.project}/{self.name}"

    @property
    def train_dag(self) -> str:
        """The DAG that trains it."""
        return dag_id(self.project, self.name, "train")

    @property
    def metric_names(self) -> list[str]:
        """Metrics in the order of the model's task; those of its versions if the document is gone."""
        if self.spec:
            return list(TASKS[self.spec.task].metrics)
        return sorted({name for version in self.versions for name in version.metrics})


@dataclass(frozen=True)
class Entries:
    """The fields of the deployment form."""

    tag: str
    reason: str
    modes: tuple[str, ...]

    @property
    def wrong(self) -> str:
        """The missing fields, in words; empty if none is."""
        if not self.tag:
            return "Name the tag to deploy to."
        try:
            check_name(self.tag)
        except InvalidNameError as error:
            return f"The tag: {error}."
        if not self.reason:
            return "Say why, for those who read the timeline later."
        if not self.modes or not set(self.modes) <= {"batch", "online"}:
            return "Choose what the version is to answer: batch, online or both."
        return ""


def router(require_editor: Callable[..., Any]) -> APIRouter:
    """The routes of the pages; `require_editor` is the dependency that guards deployment."""
    routes = APIRouter()
    routes.add_api_route("/", models_page, name="models")
    routes.add_api_route("/models/{project}/{model}", model_page, name="model")
    routes.add_api_route("/models/{project}/{model}/tags/{tag}", tag_page, name="tag")
    routes.add_api_route("/versions/{uuid}", version_page, name="version")

    @routes.get("/versions/{uuid}/deploy", name="deploy")
    def deploy_page(
        request: Request, source: From, uuid: str, editor: Annotated[str, Depends(require_editor)]
    ) -> Response:
        return _deploy_form(request, source, uuid)

    @routes.post("/versions/{uuid}/deploy", dependencies=[Depends(require_same_origin)])
    def deploy_version(
        request: Request,
        source: From,
        uuid: str,
        editor: Annotated[str, Depends(require_editor)],
        tag: Annotated[str, Form()] = "",
        reason: Annotated[str, Form()] = "",
        modes: Annotated[list[str], Form()] = [],  # noqa: B006 (FastAPI copies it)
    ) -> Response:
        entered = Entries(tag.strip(), reason.strip(), tuple(sorted(set(modes))))
        wrong = entered.wrong
        if not wrong:
            before = source.stores.deployments.all_current()
            try:
                done = deploy(
                    source.settings,
                    source.stores.session,
                    uuid,
                    editor,
                    entered.reason,
                    datetime.now(UTC),
                    entered.tag,
                    entered.modes,
                )
            except (GateError, SignatureError) as error:
                wrong = str(error)
            else:
                project, model = done.model.split("/")
                target = request.url_for("tag", project=project, model=model, tag=done.tag).path
                return RedirectResponse(
                    f"{target}?{'unchanged' if done in before else 'deployed'}={quote(uuid)}", 303
                )
        return _deploy_form(request, source, uuid, entered, wrong)

    return routes


def models_page(request: Request, source: From) -> Response:
    """Every model of every project, trained or not, and the projects with mistakes in their documents."""
    projects = source.projects()
    views = _models(source, projects)
    broken = {name: found for name, found in projects.items() if not isinstance(found, ProjectDocuments)}
    return page(request, "models.html", {"models": views, "broken": broken, "airflow": source.airflow})


def model_page(request: Request, source: From, project: str, model: str) -> Response:
    """A model: its versions, its tags, its runs of training, its alerts."""
    view = _model(source, project, model)
    now = datetime.now(UTC)
    values = {
        "model": view,
        "runs": [(run, run.silent(now)) for run in source.stores.runs.list(view.full_name)],
        "alerts": alerts_of(source.stores, view.full_name),
        "airflow": source.airflow,
    }
    return page(request, "model.html", values)


EXAMPLE_BYTES = 32 * 2**20
"""Bundles up to this size are read for the example on a version's page."""


def version_page(request: Request, source: From, uuid: str) -> Response:
    """A version, with its whole record."""
    version = source.stores.repository.get(uuid)
    project, model = version.model.split("/")
    live = [entry for entry in source.stores.deployments.all_current() if entry.uuid == uuid]
    configuration = yaml.safe_dump(
        version.configuration.model_dump(mode="json", exclude_none=True),
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )
    values = {
        "version": version,
        "project": project,
        "name": model,
        "live": live,
        "metric_names": TASKS[version.configuration.task].metrics,
        "baseline": TASKS[version.configuration.task].baseline,
        "answer": TASKS[version.configuration.task].answer,
        "configuration": configuration,
        "importances": sorted(version.importances.items(), key=lambda item: -item[1]),
        "trials": _best_first(version),
        "search_summary": describe_search(version),
        "example": _example(source, version, live),
    }
    return page(request, "version.html", values)


def _example(source: Sources, version: ModelVersion, live: list[Deployment]) -> ExampleRequest | None:
    """A request that the version answers; None if its bundle is too large to be read for a page, or damaged."""
    repository = source.stores.repository
    tag = next((entry.tag for entry in live if "online" in entry.modes), None)
    try:
        if repository.bundle_bytes(version.uuid) > EXAMPLE_BYTES:
            return None
        bundle = open_bundle(repository.bundle(version.uuid))
    except BundleError:
        return None
    covered = covered_days(source.stores.session, version.model.split("/")[0])
    return example(bundle, covered, source.serving or "http://HOST:PORT", tag, datetime.now(UTC))


def tag_page(
    request: Request,
    source: From,
    project: str,
    model: str,
    tag: str,
    window: str | None = None,
    deployed: str = "",
    unchanged: str = "",
) -> Response:
    """A tag: timeline, live accuracy, consistency of features, alerts."""
    view = _model(source, project, model)
    timeline = source.stores.deployments.timeline(view.full_name, tag)
    if not timeline:
        raise NotFoundError(f"nothing was ever deployed to {view.full_name} under the tag {tag!r}.")
    values = {
        "model": view,
        "tag": tag,
        "timeline": timeline,
        "accuracy": live_accuracy(source.stores, view.full_name, tag, view.spec, window),
        "consistency": live_consistency(source.stores, view.full_name, tag, view.spec),
        "alerts": alerts_of(source.stores, view.full_name, tag),
        "deployed": deployed if deployed == timeline[0].uuid else "",
        "unchanged": unchanged if unchanged == timeline[0].uuid else "",
    }
    return page(request, "tag.html", values)


def _models(source: Sources, projects: dict[str, Any]) -> list[ModelView]:
    versions: dict[str, list[VersionSummary]] = {}
    for summary in source.stores.repository.list():
        versions.setdefault(summary.model, []).append(summary)
    live: dict[str, list[Deployment]] = {}
    for entry in source.stores.deployments.all_current():
        live.setdefault(entry.model, []).append(entry)
    documents = {
        f"{project}/{model}": spec
        for project, found in projects.items()
        if isinstance(found, ProjectDocuments)
        for model, spec in found.models.items()
    }
    views = []
    for full_name in sorted(documents.keys() | versions.keys()):
        project, name = full_name.split("/")
        own, now = tuple(versions.get(full_name, ())), tuple(live.get(full_name, ()))
        views.append(ModelView(project, name, documents.get(full_name), own, now))
    return views


def _model(source: Sources, project: str, model: str) -> ModelView:
    found = source.projects().get(project)
    spec = found.models.get(model) if isinstance(found, ProjectDocuments) else None
    name = f"{project}/{model}"
    versions = tuple(source.stores.repository.list(name))
    if spec is None and not versions:
        raise NotFoundError(
            f"there is no model {name}: no document describes it and no version of it was trained."
        )
    live = tuple(entry for entry in source.stores.deployments.all_current() if entry.model == name)
    return ModelView(project, model, spec, versions, live)


def _best_first(version: ModelVersion) -> list[Any]:
    """The trials of the search: the best one first, then in the order in which they were made."""
    if version.search is None:
        return []
    best = version.search.best
    return sorted(version.search.trials, key=lambda trial: (trial.number != best, trial.number))


def _deploy_form(
    request: Request, source: Sources, uuid: str, entered: Entries | None = None, wrong: str = ""
) -> Response:
    version = source.stores.repository.get(uuid)
    project, model = version.model.split("/")
    planned = version.configuration.deploy
    modes = tuple(planned.modes) if planned else ("batch", "online")
    defaults = Entries(planned.tag if planned else "", "", modes)
    live = [entry for entry in source.stores.deployments.all_current() if entry.model == version.model]
    values = {
        "version": version,
        "project": project,
        "name": model,
        "gate": planned.gate if planned else {},
        "live": live,
        "entered": entered or defaults,
        "wrong": wrong,
    }
    return page(request, "deploy.html", values, 409 if wrong else 200)
