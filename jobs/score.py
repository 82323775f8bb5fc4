"""Scores the rows of days with every version that is deployed for batch use, into the prediction tables.

    spark-submit jobs/score.py --project flights --from 2013-11-01 --to 2013-11-02

A version that is live under several tags scores once: its rows have the tags, joined by commas.

A row belongs to the first day on which it can be scored: the day of its event time or its partition day, whichever is
later. So the run of a day finds all its rows, and no later run has to touch what it has published.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.bundle import open_bundle
from giornata.documents import ProjectDocuments, load_project
from giornata.documents.model import Data
from giornata.documents.resources import JobResources
from giornata.names import parse_model_name, predictions_table
from giornata.scorer import Scorer, input_columns, inputs_of
from giornata.settings import Settings, load_settings
from giornata.stores.cassandra import session
from giornata.stores.deployments import Deployment, Deployments
from giornata.stores.repository import Repository
from jobs.features.point_in_time import join
from jobs.hive.prerequisites import check_groups, check_tables
from jobs.hive.publish import ensure_table, publish
from jobs.hive.scan import PARTITION_DAY, scan_partitions
from jobs.hive.schema import SQL_TYPES, input_frame
from jobs.monitoring.prediction_table import PARTITIONS, inputs_json, prediction_id, predictions_columns
from jobs.runtime.failures import Failures
from jobs.runtime.resources import add_resources, largest, start_sized
from jobs.runtime.session import add_range, days_between, job_main, say
from jobs.runtime.spark_errors import as_data_errors
from jobs.runtime.threads import side_by_side

__all__ = ["Live", "deployed", "live_versions", "main", "run"]


_DAY = "_day"


@dataclass(frozen=True)
class Live:
    """A version that is deployed for batch use: its model, its tags in order, its bundle."""

    model: str
    uuid: str
    tags: tuple[str, ...]
    bundle: bytes


def run(
    spark: SparkSession,
    settings: Settings,
    project: str,
    begin: datetime,
    end: datetime,
    live: Sequence[Live],
) -> int:
    """Score the days of [begin, end) with the versions in `live`; returns the number of rows published.

    Models are scored side by side, the versions of one, which have one table, after each other.
    Scoring a day again replaces its rows. A version that cannot be scored does not stop the others, for example because
    the project's code fails on a row, or the project no longer has a table or feature group. Raises DataError or
    StoreError at the end, naming those (see `jobs.runtime.failures`).
    """
    documents = load_project(settings.projects / project)
    failures = Failures("score")
    rows: list[int] = []
    versions: dict[str, list[Live]] = {}
    for version in live:
        versions.setdefault(version.model, []).append(version)

    def work(model: str) -> None:
        for version in versions[model]:
            with failures.of(f"{model} {version.uuid}"):
                rows.append(_score(spark, settings, documents, version, begin, end))

    side_by_side(work, versions)
    failures.check(f"{len(failures)} of {len(live)} versions were not scored")
    return sum(rows)


def deployed(settings: Settings, project: str) -> list[Live]:
    """The versions of a project that are deployed for batch use now. Raises StoreError."""
    with session(settings) as cassandra:
        return live_versions(Repository(cassandra), Deployments(cassandra).all_current(), project)


def live_versions(repository: Repository, current: Sequence[Deployment], project: str) -> list[Live]:
    """The versions of a project's models that some tag has live for batch use, each once."""
    tags: dict[tuple[str, str], list[str]] = {}
    for entry in current:
        if "batch" in entry.modes and entry.model.startswith(f"{project}/"):
            tags.setdefault((entry.model, entry.uuid), []).append(entry.tag)
    return [
        Live(model, uuid, tuple(sorted(under)), repository.bundle(uuid))
        for (model, uuid), under in sorted(tags.items())
    ]


def _score(
    spark: SparkSession,
    settings: Settings,
    documents: ProjectDocuments,
    live: Live,
    begin: datetime,
    end: datetime,
) -> int:
    version = open_bundle(live.bundle).version
    spec, inputs = version.configuration, inputs_of(version.signature)
    columns = predictions_columns(spec, documents.table(spec.data.table))
    check_tables(spark, documents.name, [spec.data.table])
    check_groups(spark, documents.name, [store.group for store in inputs.store.values()])
    rows = _asked_rows(spark, documents.name, spec.data, list(inputs.row), begin, end)
    joined = join(spark, rows, spec.data.event_time, inputs, version.groups, documents.name)
    table = predictions_table(live.model)
    ensure_table(spark, table, columns, PARTITIONS)
    days = days_between(begin, end)
    with as_data_errors(f"version {live.uuid} of {live.model} cannot be scored"):
        published = publish(
            spark,
            _predictions(joined, live, spec.data, input_columns(version.signature), columns),
            table,
            PARTITIONS,
            settings=settings,
            expected=[{"day": day, "mode": "batch", "model_uuid": live.uuid} for day in days],
        )
    say(
        "score",
        f"{live.model} {live.uuid} ({', '.join(live.tags)}): {len(days)} days, {published.rows} rows published",
    )
    return published.rows


def _asked_rows(
    spark: SparkSession, project: str, data: Data, inputs: Sequence[str], begin: datetime, end: datetime
) -> DataFrame:
    """The rows that belong to the days of [begin, end), with _DAY; rows without an event time are left out."""
    asked_day = F.date_format(data.event_time, "yyyy-MM-dd")
    return (
        scan_partitions(spark, project, data, [*data.key, *inputs], begin, end)
        .where(F.col(data.event_time).isNotNull())
        .withColumn(_DAY, F.greatest(asked_day, PARTITION_DAY))
        .where((F.col(_DAY) >= begin.date().isoformat()) & (F.col(_DAY) < end.date().isoformat()))
        .drop(PARTITION_DAY)
    )


def _predictions(
    joined: DataFrame, live: Live, data: Data, inputs: Mapping[str, str], columns: Mapping[str, str]
) -> DataFrame:
    sent = joined.sparkSession.sparkContext.broadcast(live.bundle)
    keys = {f"_key_{name}": columns[name] for name in data.key}
    tags, uuid = ",".join(live.tags), live.uuid

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = Scorer(open_bundle(sent.value))
        for batch in batches:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            asked_at = frame["_event_time"].to_list()
            answers = scorer.columns(frame)
            scored = frame.select(pl.col(key).alias(key.removeprefix("_key_")) for key in keys).with_columns(
                pl.Series("event_time", frame["_event_time"]),
                *(answers[name] for name in ("prediction", "outputs") if name in answers.columns),
                pl.Series(
                    "prediction_id",
                    [
                        prediction_id(uuid, key, at)
                        for key, at in zip(frame.select(list(keys)).iter_rows(), asked_at, strict=True)
                    ],
                    pl.String,
                ),
                pl.Series("predicted_at", frame["_event_time"]),
                pl.lit(tags).alias("tag"),
                answers["part"],
                answers["level"],
                pl.Series(
                    "inputs",
                    [inputs_json(row) for row in frame.select(list(inputs)).iter_rows(named=True)],
                    pl.String,
                ),
                frame[_DAY].alias("day"),
                pl.lit("batch").alias("mode"),
                pl.lit(uuid).alias("model_uuid"),
            )
            yield from scored.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()

    schema = ", ".join(
        [
            *(f"{name} {SQL_TYPES[type_]}" for name, type_ in columns.items()),
            *(f"{name} string" for name in PARTITIONS),
        ]
    )
    key_columns = [F.col(name).alias(f"_key_{name}") for name in data.key]
    return input_frame(
        joined, inputs, *key_columns, F.col(data.event_time).alias("_event_time"), _DAY
    ).mapInArrow(score, schema)


def _resources(
    documents: ProjectDocuments, live: Sequence[Live], changes: Mapping[str, object]
) -> JobResources | None:
    """The most that any of the models asks for now, whatever its version was trained with."""
    usual = documents.project.resources.score
    specs = [documents.models.get(parse_model_name(version.model).name) for version in live]
    return largest([(spec.score.resources if spec else None) or usual for spec in specs], changes)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line, start Spark, score."""
    parser = argparse.ArgumentParser(description="Score days with every deployed version.")
    parser.add_argument("--project", required=True)
    add_range(parser)
    add_resources(parser)
    arguments = parser.parse_args(argv)
    settings = load_settings()
    live = deployed(settings, arguments.project)
    if not live:
        say("score", f"{arguments.project}: no version is deployed for batch use")
        return 0
    documents = load_project(settings.projects / arguments.project)
    spark = start_sized(
        settings, f"score {arguments.project}", _resources(documents, live, arguments.resources)
    )
    try:
        run(spark, settings, arguments.project, arguments.start, arguments.end, live)
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(job_main(main))
