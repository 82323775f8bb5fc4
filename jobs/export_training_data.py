"""Writes the rows that a model is fitted to into a Parquet file, for inspection.

`spark-submit jobs/export_training_data.py --model flights/late --as-of 2013-11-01 --out frame.parquet`

A row of the file is a row of the training, validation or test period:

    key.<column>, event_time          identify the row
    window, fold, part                its period; the fold of a training row if features are fitted to labels; the
                                      parts it lies in, the root first
    label                             the label, null if it was not known in time; a class by its name
    row.<column>, store.<group>.<feature>   the inputs of its features, as the point-in-time join found them
    feature.<name>                    the features themselves, as the model gets them

Features that are fitted to labels have for a training row the state from the labels of the other folds, as in training.
"""

import argparse
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from dsl.schema import store_input_name
from giornata.documents import load_project
from giornata.errors import StoreError
from giornata.names import parse_model_name
from giornata.settings import Settings, load_settings
from jobs.runtime.session import job_main, parse_day, say, start
from jobs.training.dataset import FOLDS, LABEL, ORDER, PARTS, WINDOW, matrix_columns, matrix_frame
from jobs.training.preparation import Prepared, prepare

JOB = "export_training_data"


def run(spark: SparkSession, settings: Settings, model: str, as_of: datetime, out: Path) -> int:
    """Write the rows of a model as of a day to `out`, atomically; returns the number of rows.

    Raises NotFoundError, DataError, and StoreError if the file cannot be written.
    """
    name = parse_model_name(model)
    documents = load_project(settings.projects / name.project)
    spec = documents.model(name.name)
    prepared = prepare(spark, documents, name.name, spec, as_of, lambda counts, when: None)
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            frame(prepared, list(spec.data.key), spec.data.event_time).write.parquet(f"{folder}/parts")
            rows = _in_one_file(Path(folder, "parts"), Path(folder, "whole"))
            shutil.move(Path(folder, "whole"), out)
    except OSError as fault:
        raise StoreError(f"{out} cannot be written: {fault.strerror}") from fault
    finally:
        prepared.release()
    say(JOB, f"{model}: {rows} rows in {out}")
    return rows


def frame(prepared: Prepared, key: list[str], event_time: str) -> DataFrame:
    """The rows in the form in which they are exported, see above."""
    features = prepared.fitted.features
    matrix = matrix_frame(
        prepared.joined,
        prepared.fitted,
        prepared.compiled.partition,
        prepared.columns,
        kept=[*key, event_time],
    )
    stored = [(use, feature) for use, read in prepared.inputs.store.items() for feature in read.features]
    return matrix.select(
        *(F.col(name).alias(f"key.{name}") for name in key),
        F.col(event_time).alias("event_time"),
        F.col(WINDOW).alias("window"),
        _fold(features.learns_target).alias("fold"),
        F.col(PARTS).alias("part"),
        _label(prepared.classes).alias("label"),
        *(F.col(name).alias(f"row.{name}") for name in prepared.inputs.row),
        *(F.col(store_input_name(use, name)).alias(f"store.{use}.{name}") for use, name in stored),
        *(
            F.col(column).alias(f"feature.{name}")
            for column, name in zip(matrix_columns(len(features.names)), features.names, strict=True)
        ),
    )


def _fold(learns_target: bool) -> Column:
    dealt = F.pmod(F.col(ORDER), F.lit(FOLDS)).cast("int")
    nothing = F.lit(None).cast("int")
    return F.when(F.col(WINDOW) == "train", dealt).otherwise(nothing) if learns_target else nothing


def _label(classes: list[str]) -> Column:
    if not classes:
        return F.col(LABEL)
    return F.get(F.array(*(F.lit(name) for name in classes)), F.col(LABEL).cast("int"))


def _in_one_file(parts: Path, whole: Path) -> int:
    """Write the rows of Spark's files into one file, a row group at a time; returns the number of rows."""
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        for part in sorted(parts.glob("*.parquet")):
            with pq.ParquetFile(part) as file:
                writer = writer or pq.ParquetWriter(whole, file.schema_arrow, compression="zstd")
                for number in range(file.num_row_groups):
                    table: pa.Table = file.read_row_group(number)
                    writer.write_table(table)
                    rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def main(argv: list[str] | None = None) -> None:
    """The command line of the job."""
    parser = argparse.ArgumentParser(prog=JOB, description="Write what a model learns from into a file.")
    parser.add_argument("--model", required=True, metavar="PROJECT/MODEL")
    parser.add_argument("--as-of", required=True, type=parse_day, metavar="DAY", help="as of training")
    parser.add_argument("--out", required=True, type=Path, help="a Parquet file")
    arguments = parser.parse_args(argv)
    settings = load_settings()
    spark = start(settings, f"{JOB} {arguments.model}")
    try:
        run(spark, settings, arguments.model, arguments.as_of, arguments.out)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(job_main(main))
