"""Runs the chain of the project `trips` from its tables to its accuracy, as one application of the settings' master.

    spark-submit tests/jobs/run_chain.py PROJECT UUID

One application instead of five, which would start five times what one start shows.
"""

import sys
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from giornata.deployment import deploy
from giornata.documents import load_project
from giornata.settings import Settings, load_settings
from giornata.stores import cassandra
from jobs import ingest, materialize, monitor, score, train
from jobs.runtime.session import job_main, start
from jobs.training.request import TrainingRequest

FIRST, AS_OF, END = (datetime(2013, 3, day, tzinfo=UTC) for day in (1, 8, 11))


def run_chain(spark: SparkSession, settings: Settings, project: str, version: str) -> None:
    """Load and compute the days [FIRST, END), train as of AS_OF, deploy, score and measure the days from AS_OF on."""
    ingest.run(spark, settings, project, FIRST, END)
    materialize.run(spark, settings, project, FIRST, END)
    model = f"{project}/minutes"
    train.run(spark, settings, TrainingRequest(model, AS_OF, version, "anna"), lambda: AS_OF)
    with cassandra.session(settings) as session:
        deploy(settings, session, version, "anna", "the first", AS_OF)
    score.run(spark, settings, project, AS_OF, END, score.deployed(settings, project))
    monitor.run(spark, settings, project, AS_OF, END)


def main(argv: list[str] | None = None) -> None:
    """Run the chain of a project, and train its model as a version."""
    project, version = argv or sys.argv[1:]
    settings = load_settings()
    resources = load_project(settings.projects / project).models["minutes"].resources
    spark = start(settings, f"chain {project}", settings.spark_master, resources)
    try:
        run_chain(spark, settings, project, version)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
