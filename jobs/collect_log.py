"""Loads the predictions that the servers logged into Hive, each exactly once.

The closed segments of a model are read, their rows are merged with the existing rows of the same partitions (day,
online, version), and the partitions are published as a whole; only then the segments move to `collected/`. If a job
dies in between, the segments are still in place: the next run finds their rows in the table, by prediction id, and adds
none twice. Lines that cannot be read are kept in `rejected/` and reported; so are rows beyond MOST_PARTITIONS
partitions in one run, because callers choose the days that they ask about. Collected and rejected files are deleted
after a while (see `giornata.settings`).
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from giornata.documents import ProjectDocuments, load_project
from giornata.names import Name, parse_model_name, predictions_table
from giornata.prediction_log import (
    REJECTED,
    close_abandoned,
    closed_segments,
    collecting,
    cut_tail,
    has_segments,
    model_folder,
    models_with_segments,
    prune,
    put_away,
    torn_tail,
)
from giornata.settings import Settings, load_settings
from jobs.hive.publish import ensure_table, publish
from jobs.hive.schema import SQL_TYPES
from jobs.monitoring.prediction_table import PARTITIONS, predictions_columns
from jobs.runtime.session import job_main, say, start

JOB = "collect_log"
MODE = "online"
MOST_PARTITIONS = 400  # of one model in one run: a year of days and more

_UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_FIELDS = {
    "prediction_id": "string",
    "model": "string",
    "uuid": "string",
    "part": "string",
    "level": "string",
    "event_time": "timestamp",
    "predicted_at": "timestamp",
    "inputs": "string",
}


@dataclass(frozen=True)
class Collected:
    """The work of a run on one model: rows read, new rows, lines rejected or torn.

    `crowded` are rows set aside because they were about too many days.
    """

    model: str
    segments: int
    rows: int
    new: int
    rejected: int
    torn: int
    crowded: int = 0


def run(spark: SparkSession, settings: Settings, project: str) -> list[Collected]:
    """Collect the segments of every model of a project. Raises StoreError if another run is doing so."""
    documents = load_project(settings.projects / project)
    collected = []
    for model in map(parse_model_name, models_with_segments(settings.prediction_log, project)):
        folder = model_folder(settings.prediction_log, model)
        with collecting(folder):
            close_abandoned(folder)
            segments = closed_segments(folder)
            if not segments:
                continue
            if model.name not in documents.models:
                say(JOB, f"{model}: {len(segments)} segments stay in {folder}: the project has no such model")
                continue
            collected.append(publish_segments(spark, settings, documents, model, segments))
            put_away(segments)
    if not collected:
        say(JOB, f"{project}: no predictions were logged since the last run")
    return collected


def prune_kept(settings: Settings, project: str) -> None:
    """Delete old collected and rejected files of a project's models. Raises StoreError."""
    log = settings.prediction_log
    for model in models_with_segments(log, project):
        number = prune(
            model_folder(log, model), settings.prediction_log_kept, settings.prediction_log_kept_bytes
        )
        if number:
            say(JOB, f"{model}: {number} files of collected or rejected lines were old and are deleted")


def publish_segments(
    spark: SparkSession,
    settings: Settings,
    documents: ProjectDocuments,
    model: Name,
    segments: Sequence[Path],
) -> Collected:
    """Add the rows of segments to the predictions table of a model; rows that are there already change nothing."""
    spec = documents.models[model.name]
    columns = predictions_columns(spec, documents.tables[spec.data.table])
    table = predictions_table(model)
    ensure_table(spark, table, columns, PARTITIONS)
    torn = sum(set_torn_tail_aside(path) for path in segments)
    with _cached(read_lines(spark, segments, model, columns, spec.data.key)) as lines:
        good, rejected = mark_crowded(lines.where("is_good")), lines.where("NOT is_good")
        crowded = good.where("is_crowded")
        set_aside(rejected.unionByName(crowded, allowMissingColumns=True), segments)
        aside = (rejected.count(), torn, crowded.count())
        rows = good.where("NOT is_crowded").dropDuplicates(["prediction_id"])
        number = rows.count()
        new = add_new_rows(spark, settings, table, prediction_rows(rows, columns, spec.data.key))
    say(JOB, f"{model}: {len(segments)} segments, {number} predictions, {new} of them new in {table}")
    report_aside(model, segments[0].parent / REJECTED, *aside)
    return Collected(str(model), len(segments), number, new, *aside)


def report_aside(model: Name, kept: Path, rejected: int, torn: int, crowded: int) -> None:
    """Report the lines that were not loaded, and where they are kept."""
    if rejected or torn:
        say(
            JOB,
            f"{model}: {rejected} lines could not be read and {torn} were cut off; they are kept in {kept}",
        )
    if crowded:
        say(
            JOB,
            f"{model}: {crowded} predictions are about more days than the {MOST_PARTITIONS} that are nearest to when "
            f"they were asked; they are kept in {kept}. If these days were not meant, bound what may be asked about "
            "by `online: {moments: …}` in the model's document",
        )


def set_torn_tail_aside(segment: Path) -> bool:
    """Move the unfinished line of a killed server out of its segment. Returns whether there was one."""
    tail = torn_tail(segment)
    if tail:
        _write_whole(segment.parent / REJECTED / f"{segment.stem}.torn", tail)
        cut_tail(segment, len(tail))
    return bool(tail)


def read_lines(
    spark: SparkSession, segments: Sequence[Path], model: Name, columns: Mapping[str, str], key: Sequence[str]
) -> DataFrame:
    """Every line of the segments: `segment`, its text `line`, its fields, and whether it `is_good`.

    `columns` are those of the predictions table, `key` among them. A line is good if it is JSON with the fields of the
    prediction log in their types and is about `model`.
    """
    keys = ", ".join(f"{name}: {SQL_TYPES[columns[name]]}" for name in key)
    answer = {name: SQL_TYPES[columns[name]] for name in ("prediction", "outputs") if name in columns}
    needed = _FIELDS | answer
    fields = needed | {"tag": "string", "key": f"struct<{keys}>", "broken": "string"}
    schema = ", ".join(f"{name} {type_}" for name, type_ in fields.items())
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "broken"}
    text = spark.read.text([str(path) for path in segments], lineSep="\n")
    lines = text.select(
        F.col("_metadata.file_name").alias("segment"),
        F.col("value").alias("line"),
        F.from_json("value", schema, options).alias("fields"),
    ).select("segment", "line", "fields.*")
    present = F.lit(True)
    for name in needed:
        present &= F.col(name).isNotNull()
    good = present & F.col("broken").isNull() & (F.col("model") == str(model)) & F.col("uuid").rlike(_UUID)
    return lines.withColumn("is_good", F.coalesce(good, F.lit(False)))


def mark_crowded(lines: DataFrame) -> DataFrame:
    """The lines with `is_crowded`: whether their partition (day and version) is beyond the first MOST_PARTITIONS.

    The first ones are those whose day is nearest to when they were requested, so that a flood of days only excludes
    itself.
    """
    day = F.date_format("event_time", "yyyy-MM-dd")
    distance = F.min(F.abs(F.datediff("event_time", "predicted_at")))
    partitions = lines.groupBy(day.alias("day"), "uuid").agg(distance.alias("distance"))
    first = partitions.orderBy("distance", F.desc("day"), "uuid").limit(MOST_PARTITIONS + 1).collect()
    if len(first) <= MOST_PARTITIONS:
        return lines.withColumn("is_crowded", F.lit(False))
    taken = lines.sparkSession.createDataFrame(
        [(row.day, row.uuid, False) for row in first[:MOST_PARTITIONS]],
        "day string, uuid string, is_crowded boolean",
    )
    marked = lines.withColumn("day", day).join(F.broadcast(taken), ["day", "uuid"], "left")
    return marked.drop("day").withColumn("is_crowded", F.coalesce("is_crowded", F.lit(True)))


def set_aside(lines: DataFrame, segments: Sequence[Path]) -> None:
    """Write lines that are not loaded to one file per segment."""
    folders = {path.name: path.parent / REJECTED for path in segments}
    ordered = lines.select("segment", "line").orderBy("segment", "line")
    for segment, rows in groupby(ordered.toLocalIterator(), key=attrgetter("segment")):
        _write_whole(folders[segment] / segment, "".join(f"{row.line}\n" for row in rows).encode())


def prediction_rows(lines: DataFrame, columns: Iterable[str], key: Sequence[str]) -> DataFrame:
    """Lines of the log as rows of a predictions table with these columns, `key` among them."""
    return lines.select(
        *(F.col(f"key.{name}") if name in key else F.col(name) for name in columns),
        F.date_format("event_time", "yyyy-MM-dd").alias("day"),
        F.lit(MODE).alias("mode"),
        F.col("uuid").alias("model_uuid"),
    )


def add_new_rows(spark: SparkSession, settings: Settings, table: str, rows: DataFrame) -> int:
    """Add the rows of `rows` that their partitions lack, publish these, and return the number of new rows."""
    asked = rows.select("day", "model_uuid").distinct().collect()
    if not asked:
        return 0
    days = [row.day for row in asked]
    wanted = spark.createDataFrame(asked, "day string, model_uuid string")
    published = (
        spark.table(table)
        .where((F.col("mode") == MODE) & F.col("day").between(min(days), max(days)))
        .join(F.broadcast(wanted), ["day", "model_uuid"], "left_semi")
    )
    with _cached(rows.join(published.select("prediction_id"), "prediction_id", "left_anti")) as new:
        number = new.count()
        if number:
            touched = F.broadcast(new.select("day", "model_uuid").distinct())
            kept = published.join(touched, ["day", "model_uuid"], "left_semi")
            everything = kept.unionByName(new, allowMissingColumns=True)
            publish(spark, everything, table, PARTITIONS, settings=settings)
    return number


@contextmanager
def _cached(frame: DataFrame) -> Iterator[DataFrame]:
    frame.cache()
    try:
        yield frame
    finally:
        frame.unpersist()


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.rename(path)


def is_due(settings: Settings, project: str) -> bool:
    """Whether predictions were logged since the last run; if not, it is said. Kept segments that are old enough go."""
    prune_kept(settings, project)
    if has_segments(settings.prediction_log, project):
        return True
    say(JOB, f"{project}: no predictions were logged since the last run")
    return False


def main(argv: list[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog=f"jobs/{JOB}.py", description=__doc__)
    parser.add_argument("--project", required=True)
    arguments = parser.parse_args(argv)
    settings = load_settings()
    if not is_due(settings, arguments.project):
        return
    spark = start(settings, JOB)
    try:
        run(spark, settings, arguments.project)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
