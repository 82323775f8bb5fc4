"""Inside Spark, batch by batch over Arrow, expressions give what they give for one row."""

import json
import struct
from datetime import UTC, datetime
from itertools import count

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from pyspark.sql import SparkSession

from dsl import CompiledFeatures, compile_features
from jobs.runtime.session import LOOPBACK, MEANING, SMALL_SHUFFLE, USUAL

pytestmark = pytest.mark.processes

CASES = max(400, settings.default.max_examples)
SPARK_TYPES = {
    "int": "bigint",
    "float": "double",
    "bool": "boolean",
    "str": "string",
    "timestamp": "timestamp",
}
SPARK_TYPES |= {f"list[{kind}]": f"array<{name}>" for kind, name in SPARK_TYPES.items()}


@pytest.fixture(scope="module")
def spark():
    """Spark on two threads, set as the jobs set it: the session of their tests where this process has one."""
    builder = SparkSession.builder.master("local[2]").appName("language").config("spark.ui.enabled", "false")
    settings = {**MEANING, **USUAL, **LOOPBACK, "spark.sql.shuffle.partitions": str(SMALL_SHUFFLE)}
    for key, value in settings.items():
        builder = builder.config(key, value)
    running = SparkSession.getActiveSession()
    yield running or builder.getOrCreate()
    if running is None:
        builder.getOrCreate().stop()


def drawn(language, number):
    """So many expressions with rows, fitted where they learn."""
    cases = []

    @settings(max_examples=number, phases=[Phase.generate])
    @given(written=language.expressions, rows=language.rows)
    def draw(written, rows):
        features = compile_features({"f": written}, language.schema)
        if not features.is_fitted:
            features = features.fitted(language.aggregate(features, rows))
        cases.append((written, features, rows))

    draw()
    return cases


def bits(value):
    """A value in a form that is equal only for the same bits."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return tuple(map(bits, value)) if isinstance(value, list | tuple) else value


def test_spark_gives_what_one_row_gives(spark, language):
    cases = drawn(language, CASES)
    assert len({written for written, _, _ in cases}) > CASES / 5
    place = count()
    rows = [
        {**row, "_case": number, "_place": next(place)}
        for number, (_, _, of) in enumerate(cases)
        for row in of
    ]
    keys = pl.DataFrame(
        [{"_case": row["_case"], "_place": row["_place"]} for row in rows],
        schema={"_case": pl.Int64, "_place": pl.Int64},
    )
    inputs = language.frame([{name: row[name] for name in row if name[0] != "_"} for row in rows])
    stored = {number: json.dumps(features.to_json()) for number, (_, features, _) in enumerate(cases)}
    kinds = list(SPARK_TYPES)

    def evaluate(batches):
        for batch in batches:
            frame = pl.from_arrow(batch)
            for (number,), part in frame.group_by("_case"):
                features = CompiledFeatures.from_json(json.loads(stored[number]))
                answers = features.columns(part.drop("_case", "_place")).to_series(0)
                (kind,) = features.types.values()
                found = part.select("_place").with_columns(answers.alias(str(kind)))
                arrow = found.to_arrow(compat_level=pl.CompatLevel.oldest())
                columns = [
                    arrow.column(name).combine_chunks()
                    if name in arrow.column_names
                    else pa.nulls(len(part), type_)
                    for name, type_ in zip(schema.names, schema.types, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(
                    [column.cast(type_) for column, type_ in zip(columns, schema.types, strict=True)],
                    schema=schema,
                )

    arrow_types = [pa.int64(), pa.float64(), pa.bool_(), pa.string(), pa.timestamp("us", "UTC")]
    schema = pa.schema(
        [
            ("_place", pa.int64()),
            *zip(kinds, [*arrow_types, *(pa.list_(type_) for type_ in arrow_types)], strict=True),
        ]
    )
    table = inputs.hstack(keys).to_arrow(compat_level=pl.CompatLevel.oldest())
    answers = (
        spark.createDataFrame(table)
        .repartition(5)
        .mapInArrow(
            evaluate, ", ".join(["_place bigint", *(f"`{kind}` {SPARK_TYPES[kind]}" for kind in kinds)])
        )
        .toArrow()
    )
    found = {row.pop("_place"): row for row in answers.to_pylist()}
    assert len(found) == len(rows)
    for row in rows:
        written, features, _ = cases[row["_case"]]
        (expected,) = features.row({name: value for name, value in row.items() if name[0] != "_"})
        (kind,) = features.types.values()
        assert bits(found[row["_place"]][str(kind)]) == bits(expected), written
