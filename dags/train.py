"""The DAG `<project>.<model>.train`: trains a version of a model and, if the document says so, deploys it."""

import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Asset, Param, task
from airflow.sdk.exceptions import AirflowFailException

from dags.spark import RESOURCES, at_moments, resources_param, spark_dag, spark_job
from giornata.documents import ModelSpec, ProjectDocuments
from giornata.documents.suggestions import did_you_mean
from giornata.errors import GiornataError
from giornata.names import Name, dag_id
from giornata.settings import load_settings

AS_OF = "{{ as_of(params, dag_run) }}"
VERSION = "{{ version(dag_run) }}"
TAG = "^[a-z][a-z0-9_]*$"
TRAINED_BY = "{{ dag_run.triggering_user_name or 'schedule' }}"
WARNINGS = "{% for warning in warnings(dag_run) %}\n\n**WARNING**: {{ warning }}{% endfor %}"

FIELDS = ("as_of", "parameters", "resources", "trials", "deploy", "tag")

logger = logging.getLogger(__name__)


class Run(Protocol):
    """The fields of Airflow's DAG run that are used here."""

    dag_id: str
    run_id: str
    run_after: datetime
    data_interval_end: datetime | None


def version(dag_run: Run) -> str:
    """UUID of the version that a run trains: a retry trains the same version again."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"giornata://{dag_run.dag_id}/{dag_run.run_id}"))


def as_of(params: Mapping[str, object], dag_run: Run) -> str:
    """The day from which training counts back: from the form, else the UTC day of the run's time.

    A run with a field that the form does not have fails at once, without retries.
    """
    if unknown := sorted(set(params) - set(FIELDS)):
        hints = ", ".join(f"{name!r} ({did_you_mean(name, FIELDS)})" for name in unknown)
        raise AirflowFailException(f"the form has no field {hints}; it has {', '.join(FIELDS)}")
    moment = dag_run.data_interval_end or dag_run.run_after
    return str(params["as_of"] or moment.astimezone(UTC).date())


def warnings(dag_run: Run) -> list[str]:
    """The warnings of the version that a run has trained, or that its record cannot be read."""
    from giornata.stores.cassandra import session  # here, because a DAG is parsed again and again
    from giornata.stores.repository import Repository

    try:
        with session(load_settings()) as cassandra:
            return Repository(cassandra).get(version(dag_run)).warnings
    except GiornataError as error:
        return [f"the version's warnings cannot be read: {error}"]


def train_dag(documents: ProjectDocuments, model: str) -> None:
    """Create the DAG of one model. A new version updates the model's asset, but nothing is scored again.

    A scheduled run does what the form does when nothing in it is changed. The first one is at the next time of the
    schedule: a version as of an older time could take the place of a newer one.
    """
    spec = documents.models[model]
    name = str(Name(documents.name, model))
    with spark_dag(
        dag_id(documents.name, model, "train"),
        documents,
        does=f"Trains a new version of {name} and, if it is wanted and passes its gate, deploys it."
        if spec.deploy
        else f"Trains a new version of {name}.",
        schedule=at_moments(spec.schedule),
        params=_params(spec),
        backdated=False,
        description=spec.description,
        owner=spec.owner,
        macros={"as_of": as_of, "version": version, "warnings": warnings},
    ):
        trained = _train(name, spec)
        if spec.deploy:
            wanted = _deployment_wanted()  # type: ignore[call-arg, misc]  # Airflow gives a task its params
            trained >> wanted
            if spec.deploy.approval == "manual":
                wanted >> _approval(name) >> _deployment(name)
            else:
                wanted >> _deployment(name)


def _params(spec: ModelSpec) -> dict[str, Param]:
    params = {
        "as_of": Param(
            None,
            title="As of",
            type=["null", "string"],
            format="date",
            description="Day (UTC) that the periods of training and test are counted back from; empty: today",
        ),
        "parameters": Param(
            {}, title="Parameters", type="object", description="Over the document's parameters, a JSON object"
        ),
        "resources": resources_param({"gpus": {"type": "integer", "minimum": 0}}),
    }
    if spec.search:
        params["trials"] = Param(
            spec.search.trials or spec.search.combinations,
            title="Trials",
            type="integer",
            minimum=1,
            description="Size of the search; of a grid, how many of its combinations",
        )
    else:
        params["trials"] = _none("Trials", "The document has no search")
    if spec.deploy:
        params["deploy"] = Param(
            True, title="Deploy", type="boolean", description="Deploy the version when it passes its gate"
        )
        params["tag"] = Param(
            spec.deploy.tag, title="Tag", type="string", pattern=TAG, description="What to deploy it to"
        )
    else:
        params["deploy"] = _none("Deploy", "The document does not say how it is deployed")
        params["tag"] = _none("Tag", "The document does not say how it is deployed")
    return params


def _none(title: str, why: str) -> Param:
    """A field that the form does not show, and that a request for a run must not set."""
    return Param(None, title=title, description=why, const=None)


def _train(name: str, spec: ModelSpec) -> Any:
    arguments = ["--model", name, "--as-of", AS_OF, "--uuid", VERSION, "--trained-by", TRAINED_BY]
    arguments += ["--parameters", "{{ params.parameters | tojson }}", *RESOURCES]
    if spec.search:
        arguments += ["--trials", "{{ params.trials }}"]
    return spark_job(
        "train",
        arguments,
        limit=timedelta(hours=12),
        outlets=[Asset(name, uri=f"giornata://{name}")],
        post_execute=_announce,
    )


def _announce(context: Mapping[str, Any], result: object = None) -> None:
    for asset in context["task"].outlets:
        context["outlet_events"][asset].extra = {"uuid": version(context["dag_run"])}
    for warning in warnings(context["dag_run"]):
        logger.warning(warning)


@task.short_circuit(task_id="deployment_wanted", execution_timeout=timedelta(minutes=5))
def _deployment_wanted(params: dict[str, Any]) -> bool:
    return bool(params["deploy"])


def _approval(name: str) -> ApprovalOperator:
    return ApprovalOperator(
        task_id="approve",
        subject=f"Deploy version {VERSION} of {name} to {{{{ params.tag }}}}?",
        body=f"Trained by {TRAINED_BY} as of {AS_OF}. `giornata show {VERSION}` tells its metrics.{WARNINGS}",
        response_timeout=timedelta(days=7),
    )


def _deployment(name: str) -> BashOperator:
    # What people type reaches the shell as variables, never as text of the command.
    # A version that its gate refuses is not retried.
    return BashOperator(
        task_id="deploy",
        bash_command='giornata deploy "$MODEL" --uuid "$VERSION" --tag "$TAG" --by "$BY" --reason "$REASON"',
        env={
            "MODEL": name,
            "VERSION": VERSION,
            "TAG": "{{ params.tag }}",
            "BY": TRAINED_BY,
            "REASON": "trained in {{ dag_run.dag_id }}, run {{ run_id }}",
        },
        append_env=True,
        retries=0,
        execution_timeout=timedelta(minutes=10),
    )
