"""Runs the chain of the project `trips` from its tables to its accuracy, as one application of the settings' master.

    spark-submit tests/jobs/run_chain.py PROJECT UUID RESULTS

One application instead of five, which would start five times what one start shows. RESULTS is the file that it writes
what it made into.
"""

import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from giornata import names
from giornata.bundle import open_bundle
from giornata.deployment import deploy
from giornata.documents import load_project
from giornata.names import parse_model_name
from giornata.settings import Settings, load_settings
from giornata.stores import cassandra
from giornata.stores.repository import Repository
from jobs import ingest, materialize, monitor, score, train
from jobs.runtime.session import job_main, start
from jobs.training.request import TrainingRequest

FIRST, AS_OF, END = (datetime(2013, 3, day, tzinfo=UTC) for day in (1, 8, 11))
GROUPS = ("city_minutes", "city_name")
NAMED = ("prediction_id", "model", "model_uuid")
"""Columns that say whose a row is, which differs between two projects."""


def run_chain(spark: SparkSession, settings: Settings, project: str, version: str) -> dict[str, Any]:
    """Load and compute the days [FIRST, END), train as of AS_OF, deploy, score and measure the days from AS_OF on.

    Returns what that made: see `made`.
    """
    ingest.run(spark, settings, project, FIRST, END)
    materialize.run(spark, settings, project, FIRST, END)
    model = f"{project}/minutes"
    train.run(spark, settings, TrainingRequest(model, AS_OF, version, "anna"), lambda: AS_OF)
    with cassandra.session(settings) as session:
        deploy(settings, session, version, "anna", "the first", AS_OF)
    score.run(spark, settings, project, AS_OF, END, score.deployed(settings, project))
    monitor.run(spark, settings, project, AS_OF, END)
    return made(spark, settings, project, version)


def made(spark: SparkSession, settings: Settings, project: str, version: str) -> dict[str, Any]:
    """The rows of every table in Hive and online, the digests of the model's parts, and what was measured, as JSON."""
    model = parse_model_name(f"{project}/minutes")
    tables = {
        **{name: names.data_table(project, name) for name in ("departures", "arrivals")},
        **{name: names.group_table(project, name) for name in GROUPS},
        "predictions": names.predictions_table(model),
        "outcomes": names.outcomes_table(model),
        "metrics": f"{project}.model_metrics",
    }
    with cassandra.session(settings) as session:
        online = {
            group: rows(session.execute(f"SELECT * FROM {names.online_table(project, group)}"))
            for group in GROUPS
        }
        repository = Repository(session)
        record, bundle = repository.get(version), open_bundle(repository.bundle(version))
    return {
        "hive": {name: rows(unnamed(spark, table).collect()) for name, table in tables.items()},
        "online": online,
        "parts": [
            {name: hashlib.sha256(content).hexdigest() for name, content in part.files.items()}
            for part in bundle.parts
        ],
        "kept": sorted(part.name for part in record.parts if part.kept),
        "metrics": record.metrics,
        "baseline": record.baseline_metrics,
    }


def unnamed(spark: SparkSession, table: str) -> Any:
    """A table without the columns that say whose a row is."""
    found = spark.table(table)
    return found.select(*(column for column in found.columns if column not in NAMED))


def rows(found: Any) -> list[list[Any]]:
    """Rows in an order that depends on them alone; what JSON does not have is text."""
    return sorted(([_plain(value) for value in row] for row in found), key=repr)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | None) else str(value)


def main(argv: list[str] | None = None) -> None:
    """Run the chain of a project, and train its model as a version."""
    project, version, results = argv or sys.argv[1:]
    settings = load_settings()
    resources = load_project(settings.projects / project).models["minutes"].resources
    spark = start(settings, f"chain {project}", settings.spark_master, resources)
    try:
        Path(results).write_text(json.dumps(run_chain(spark, settings, project, version)))
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
