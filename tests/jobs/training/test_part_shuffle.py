"""Each candidate's rows come to one task, all of them, and tasks get about as much to do."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark import TaskContext

from giornata.partitions import key_text, prefixes
from jobs.training.dataset import LABEL, ORDER, PARTS, matrix_columns
from jobs.training.part_shuffle import packed_rows, tasks_of, unpacked_rows

ROWS = 5000


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60), st.integers(1, 9))
def test_tasks_are_about_equal_and_the_first_has_the_largest(sizes, tasks):
    rows = {((f"part {place}",), place % 3): size for place, size in enumerate(sizes)}
    placed = tasks_of(rows, tasks)
    assert placed.keys() == rows.keys()
    loads = [sum(rows[each] for each, task in placed.items() if task == number) for number in range(tasks)]
    used = min(tasks, len(sizes))
    assert all(load > 0 for load in loads[:used])
    assert not any(loads[used:])
    # Graham's bound of putting work on the least loaded.
    assert max(loads) <= sum(sizes) / used + max(sizes) * (1 - 1 / used) + 1e-9
    assert max(sizes) in {rows[each] for each, task in placed.items() if task == 0}


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_every_candidate_gets_all_its_rows_once(spark):
    random = np.random.default_rng(0)
    paths = [("a",), ("a", 'x"1'), ("a", "2"), ("b",), ("b", "2"), ()]
    lying = [paths[place] for place in random.integers(0, len(paths), ROWS)]
    table = pa.table(
        {
            "x0": random.normal(0, 1, ROWS).astype(np.float32),
            "x1": pa.array(np.where(random.random(ROWS) < 0.2, np.nan, 1).astype(np.float32)),
            LABEL: random.normal(0, 1, ROWS),
            ORDER: random.permutation(ROWS).astype(np.int64),
            PARTS: pa.array([[key_text(key) for key in prefixes(path)] for path in lying]),
        }
    )
    # Of the root two sets of parameters, one part has no rows, and one is not asked for.
    asked = [((), 0), ((), 1), (("a",), 0), (("a", 'x"1'), 2), (("b", "2"), 0), (("c",), 0)]
    tasks = {candidate: place % 3 for place, candidate in enumerate(asked)}

    def report(batches):
        for part, number, rows in unpacked_rows(batches):
            task = TaskContext.get().partitionId()
            order = rows.sort_by(ORDER)
            yield pa.RecordBatch.from_pydict(
                {
                    "part": [part],
                    "number": pa.array([number], pa.int32()),
                    "task": pa.array([task], pa.int32()),
                    "orders": [order[ORDER].to_pylist()],
                    "values": [order["x0"].cast(pa.float64()).to_pylist()],
                }
            )

    matrix = spark.createDataFrame(table).repartition(4)
    schema = "part string, number int, task int, orders array<bigint>, values array<double>"
    found = packed_rows(matrix, tasks, matrix_columns(2)).mapInArrow(report, schema).collect()
    assert sorted((row["part"], row["number"], row["task"]) for row in found) == sorted(
        (key_text(key), number, tasks[key, number]) for key, number in asked if key != ("c",)
    )
    numbers, values = table[ORDER].to_numpy(), table["x0"].to_numpy()
    for row in found:
        inside = [place for place, path in enumerate(lying) if row["part"] in map(key_text, prefixes(path))]
        inside.sort(key=lambda place: numbers[place])
        assert row["orders"] == [numbers[place] for place in inside]
        assert row["values"] == [float(values[place]) for place in inside]
