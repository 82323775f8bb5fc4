"""Progress reports of a running Spark job."""

import time

import pytest

from giornata.errors import StoreError
from jobs.runtime import live_counter

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]


def counted(spark, count, gate, number):
    """Two tasks one after the other: the second waits until what the first has done is told."""

    def task(place):
        ends = time.monotonic() + 60
        while place and not gate.exists():
            assert time.monotonic() < ends, "nobody was told of the first task"
            time.sleep(0.05)
        count.add(number)
        return place

    return spark.sparkContext.parallelize([0, 1], 2).map(task).collect()


def test_it_is_told_while_the_job_runs(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(live_counter, "LOOK_SECONDS", 0.05)
    told = []

    def tell(count):
        told.append(count)
        (tmp_path / "gate").touch()

    with live_counter.counting(spark, tell) as count:
        assert counted(spark, count, tmp_path / "gate", 3) == [0, 1]
    assert told[0] == 3
    assert told in ([3], [3, 6])
    assert count.value == 6


def test_what_cannot_be_told_is_no_secret(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(live_counter, "LOOK_SECONDS", 0.05)

    def tell(count):
        (tmp_path / "gate").touch()
        raise StoreError("Cassandra is gone")

    with pytest.raises(StoreError, match="gone"), live_counter.counting(spark, tell) as count:
        counted(spark, count, tmp_path / "gate", 1)
