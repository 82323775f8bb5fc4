"""From documents to training rows: joined, with fitted features, divided into windows.

Both training and the export of training data begin here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from dsl import Inputs
from giornata.documents import ProjectDocuments
from giornata.documents.compile import CompiledModel, compile_model
from giornata.documents.model import ModelSpec
from giornata.partitions import check_levels
from giornata.records.model_version import ModelSignature
from giornata.scorer import input_columns
from jobs.features.point_in_time import join
from jobs.hive.prerequisites import check_groups, check_tables
from jobs.training.dataset import (
    LABEL,
    TRAINING_WINDOWS,
    WINDOW,
    FittedFeatures,
    RowCounts,
    Windows,
    asked_rows,
    classes_of,
    coded,
    fit_features,
    labelled_rows,
    merged_inputs,
    row_counts,
    signature,
    windowed_rows,
    windows,
)
from jobs.training.label_delay import complete


@dataclass(frozen=True)
class Prepared:
    """The training data of a model, as of a moment.

    `late` are warnings about late labels. `joined` has every row of the windows, with the inputs of the row and of the
    store; `timely` those whose label was known in time. `columns` are the inputs by name with their types, `signature`
    that of a version trained on them.
    """

    compiled: CompiledModel
    inputs: Inputs
    when: Windows
    late: list[str]
    counts: RowCounts
    classes: list[str]
    signature: ModelSignature
    columns: Mapping[str, str]
    asked: DataFrame
    joined: DataFrame
    timely: DataFrame
    fitted: FittedFeatures

    def release(self) -> None:
        """Give the memory of the frames back to Spark."""
        self.asked.unpersist()
        self.joined.unpersist()


def prepare(
    spark: SparkSession,
    documents: ProjectDocuments,
    model: str,
    spec: ModelSpec,
    as_of: datetime,
    tell: Callable[[RowCounts, Windows], None],
) -> Prepared:
    """Join, fit and divide the rows of a model of the project; `tell` is called with their number before the join.

    Raises NotFoundError for tables and groups that do not exist yet, and DataError if the data does not allow a model.
    """
    compiled = compile_model(documents, model)
    if compiled.partition:
        check_levels({name: str(type_) for name, type_ in compiled.partition.types.items()})
    inputs = merged_inputs(compiled.features, compiled.partition)
    when = windows(spec.split, as_of)
    check_tables(spark, documents.name, [spec.data.table, *([spec.label.table] if spec.label else [])])
    check_groups(spark, documents.name, [store.group for store in inputs.store.values()])
    asked = asked_rows(spark, documents, spec, inputs, when).persist(StorageLevel.MEMORY_AND_DISK)
    when, late = complete(asked, spec, when)
    rows = windowed_rows(asked, spec, when)
    counts = row_counts(rows, spec, inputs, when)
    labelled = labelled_rows(rows)
    # Later classes are none that the model could have known.
    classes = classes_of(
        labelled.where(F.col(LABEL).isNotNull() & F.col(WINDOW).isin(*TRAINING_WINDOWS)), spec
    )
    tell(counts, when)
    needs = signature(spec, inputs, counts.nullable, classes)
    columns = input_columns(needs)
    joined = join(
        spark, coded(labelled, classes), spec.data.event_time, inputs, documents.groups, documents.name
    ).persist(StorageLevel.MEMORY_AND_DISK)
    timely = joined.where(F.col(LABEL).isNotNull())
    fitted = fit_features(timely.where(F.col(WINDOW) == "train"), compiled.features, columns)
    return Prepared(
        compiled, inputs, when, late, counts, classes, needs, columns, asked, joined, timely, fitted
    )
