"""A DAG of Spark jobs: its defaults, its tasks, and the asset that passes its days to the next DAG.

Spark jobs share a pool with as many slots as the machine or cluster has room for; other tasks, such as a deployment,
take no slot and never wait for one. Among jobs that wait for a slot, the most urgent go first: scoring and monitoring,
then tables and features, then training.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
    Param,
    PartitionedAssetTimetable,
)
from airflow.sdk.bases.timetable import BaseTimetable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.days import Run, days_of
from dags.run_documents import run_documents
from dags.submit import SparkJob
from giornata.days import Days, DaysError, days_of_key
from giornata.documents import ProjectDocuments
from giornata.settings import load_settings
from giornata.spark_submit import CONFIGURATION, job_file

DEFAULTS = {"retries": 1, "retry_delay": timedelta(seconds=30)}

# Until then, the first moment of a schedule is not lost when the scheduler comes to it late.
LATENESS = timedelta(minutes=10)

# Which of the jobs that wait for a slot of the pool is next: the one with the larger number.
PRIORITIES = {
    "score": 30,
    "monitor": 30,
    "ingest": 20,
    "materialize": 20,
    "repush": 10,
    "train": 10,
}

# Where the state of an asset keeps the ranges of days that it was renewed for, in their order. (Airflow 3.3 cannot tell
# the events of an asset while a run that one of them created waits in the queue.)
HANDED_ON = "ranges of days"
MOST_HANDED_ON = 100


def spark_dag(
    dag_id: str,
    documents: ProjectDocuments,
    *,
    does: str,
    schedule: BaseTimetable | None,
    params: Mapping[str, Param],
    backdated: bool = True,
    description: str | None = None,
    owner: str | None = None,
    macros: Mapping[str, Callable[..., object]] | None = None,
) -> DAG:
    """A DAG of a project. `does` is one sentence about it; description and owner default to the project's.

    One run at a time: two runs of the same days would do the same work twice. A DAG that is `backdated` begins with the
    project's data: once Airflow knows its schedule, it runs at once for the newest past time.
    """
    project = documents.project
    owner = owner or project.owner
    return DAG(
        dag_id,
        description=does,
        doc_md="\n\n".join(
            [description or project.description, does, f"Owner: {owner}. Documents: `{documents.folder}`."]
        ),
        schedule=schedule,
        start_date=datetime.combine(project.start_date, time(tzinfo=UTC)) if backdated else None,
        catchup=False,
        max_active_runs=1,
        default_args={"owner": owner, **DEFAULTS},
        params=dict(params),
        tags=["giornata", documents.name],
        user_defined_macros={
            "days": run_days,
            "documents": partial(run_documents, documents.folder),
            **(macros or {}),
        },
    )


def run_days(params: Mapping[str, object], dag_run: Run) -> Days:
    """The days of a run, for templates; a run without days fails at once, without retries."""
    try:
        return days_of(params, dag_run)
    except DaysError as error:
        raise AirflowFailException(str(error)) from None


def days_params(schedule: BaseTimetable | None) -> dict[str, Param]:
    """The fields of a job over days: date pickers, required if neither a schedule nor a DAG before gives the days, and
    resources."""
    arguments: dict[str, Any] = {"format": "date", "type": ["null", "string"] if schedule else "string"}
    if schedule:
        arguments["default"] = None
    return {
        "from": Param(title="From", description="First day, UTC", **arguments),
        "to": Param(title="To", description="Day after the last, UTC (not included)", **arguments),
        "resources": resources_param(),
    }


RESOURCES = ("--resources", "{{ params.resources | tojson }}")
"""The arguments of a job whose form has the field `resources_param`."""

_COUNT = {"type": "integer", "minimum": 1}
# As a document's: 466 MB or more, or gigabytes.
_MEMORY = "^(?:46[6-9]m|4[7-9][0-9]m|[5-9][0-9]{2}m|[1-9][0-9]{3,}m|[1-9][0-9]*g)$"
_EXECUTORS = {
    "executors": _COUNT,
    "cores": _COUNT,
    "memory": {"type": "string", "pattern": _MEMORY, "description": "466m or more, in m or g"},
}


def resources_param(more: Mapping[str, object] | None = None) -> Param:
    """The field of a trigger form for the executors of this run; `more` are properties beside the usual three."""
    also = "".join(f" and {name}" for name in more or ())
    return Param(
        {},
        title="Resources",
        type="object",
        properties={**_EXECUTORS, **(more or {})},
        additionalProperties=False,
        description="Over the documents' resources, a JSON object of executors, and of each cores, memory "
        f'(466m or more){also}, such as {{"executors": 2, "memory": "2g"}}',
    )


def by_clock(cron: str | None) -> BaseTimetable | None:
    """The schedule of a DAG that works on the time since its last run; None: only on request."""
    return CronDataIntervalTimetable(cron, timezone="UTC") if cron else None


def at_moments(cron: str | None) -> BaseTimetable | None:
    """The schedule of a DAG whose run stands for the moment of its start, scheduled or by hand; None: on request.

    With `by_clock`, a run that is started by hand would stand for the last past interval.
    """
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=LATENESS) if cron else None


def chained(documents: ProjectDocuments, source: Asset | None) -> BaseTimetable | None:
    """The schedule of a DAG of the chain: once for every range of days for which `source` is updated; the first DAG,
    which has no source, has the project's own schedule."""
    return PartitionedAssetTimetable(assets=source) if source else by_clock(documents.project.schedule)


def stage_asset(project: str, what: str) -> Asset:
    """The asset that a DAG of the chain updates for the next: `tables`, `features` or `predictions` of a project."""
    return Asset(f"{project}.{what}", uri=f"giornata://{project}/{what}")


def spark_job(job: str, arguments: list[str], *, limit: timedelta, **options: Any) -> SparkJob:
    """A task that runs `jobs/<job>.py`, named after it; killed after `limit`. `arguments` are templates.

    The job reads the documents as they were when its run was requested.
    """
    return SparkJob(
        task_id=job,
        name="{{ dag.dag_id }}." + job,
        application=str(job_file(job)),
        application_args=arguments,
        conn_id="spark_default",
        conf=dict(CONFIGURATION),
        env_vars={"GIORNATA_PROJECTS": "{{ documents(dag_run) }}"},
        execution_timeout=limit,
        pool=load_settings().spark_pool,
        priority_weight=PRIORITIES[job],
        weight_rule="absolute",
        **options,
    )


def days_job(
    job: str,
    documents: ProjectDocuments,
    *,
    limit: timedelta,
    asset: Asset | None = None,
    more: tuple[str, ...] = (),
    **options: Any,
) -> SparkJob:
    """A task that runs a job over the days of its run and, when done, updates `asset` for these days."""
    arguments = [
        "--project",
        documents.name,
        *more,
        "--from",
        "{{ days(params, dag_run).start }}",
        "--to",
        "{{ days(params, dag_run).end }}",
        *RESOURCES,
    ]
    if asset is None:
        return spark_job(job, arguments, limit=limit, **options)
    return spark_job(job, arguments, limit=limit, outlets=[asset], post_execute=_hand_on, **options)


def unless_covered(source: Asset | None) -> dict[str, Any]:
    """Options of the first task of a DAG that runs after `source`: it skips the run if `source` has since been updated
    for all its days, so that of several waiting ranges, the newest one that covers the others does their work.

    A run that is started by hand, or whose task is cleared, is never skipped.
    """
    if source is None:
        return {}

    def check(context: Mapping[str, Any]) -> None:
        run = context["dag_run"]
        if not run.partition_key or context["ti"].try_number > 1:
            return
        own = run_days(context["params"], run)
        handed = context["asset_state_store"][source].get(HANDED_ON, [])
        for key in handed[_last(handed, str(own)) + 1 :]:
            if days_of_key(key).covers(own):
                raise AirflowSkipException(f"a newer run of this DAG is about {key}, which covers {own}")

    return {"inlets": [source], "pre_execute": check}


def _last(handed: Sequence[str], key: str) -> int:
    """The position of the newest `key`, or the last position if it is unknown, so that nothing counts as newer."""
    return max((place for place, each in enumerate(handed) if each == key), default=len(handed) - 1)


def _hand_on(context: Mapping[str, Any], result: object = None) -> None:
    days = run_days(context["params"], context["dag_run"])
    for asset in context["task"].outlets:
        store = context["asset_state_store"][asset]
        store.set(HANDED_ON, [*store.get(HANDED_ON, []), str(days)][-MOST_HANDED_ON:])
        context["outlet_events"][asset].add_partitions(str(days))
