import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from cassandra.cluster import Session

from giornata.records.feature_statistics import FeatureStatistics
from giornata.stores import cassandra
from giornata.stores.statistics import Statistics

DAY = date(2013, 11, 1)
AT = datetime(2013, 11, 2, 6, tzinfo=UTC)
WIND = FeatureStatistics(
    "wind", "float", DAY, 72, 0.25, 0.0, 8.5, 31.0, 1.0, 4.0, 8.0, 12.0, 25.0
)  # fmt: skip
COLOUR = FeatureStatistics("colour", "str", DAY, 72, 0.0, distinct=3)


@pytest.fixture
def statistics(repository_session: Session) -> Statistics:
    cassandra.apply_schema(repository_session)
    return Statistics(repository_session)


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"g_{uuid.uuid4().hex[:10]}"


def read(statistics: Statistics, project: str, group: str = "sea") -> list[FeatureStatistics]:
    return statistics.read(project, group, DAY, DAY + timedelta(days=30))


def test_what_was_written_is_read(statistics: Statistics, project: str) -> None:
    later = [replace(found, day=DAY + timedelta(days=1)) for found in (COLOUR, WIND)]
    statistics.replace(project, "sea", DAY + timedelta(days=1), later, "/b", AT)
    statistics.replace(project, "sea", DAY, [WIND, COLOUR], "/a", AT)
    assert read(statistics, project) == [COLOUR, WIND, *later]
    assert statistics.newest(project, "sea") == later
    assert statistics.locations(project, "sea") == {DAY: "/a", DAY + timedelta(days=1): "/b"}
    assert statistics.read(project, "sea", DAY, DAY + timedelta(days=1)) == [COLOUR, WIND]
    assert (read(statistics, project, "lake"), statistics.newest(project, "lake")) == ([], [])


def test_a_day_is_replaced_whole_and_an_older_publication_changes_nothing(
    statistics: Statistics, project: str
) -> None:
    statistics.replace(project, "sea", DAY, [WIND, COLOUR], "/a", AT)
    without_values = FeatureStatistics("wind", "float", DAY, 3, 1.0)
    statistics.replace(project, "sea", DAY, [without_values], "/b", AT + timedelta(seconds=1))
    assert read(statistics, project) == [without_values]
    statistics.replace(project, "sea", DAY, [WIND, COLOUR], "/a", AT)
    assert read(statistics, project) == [without_values]
    assert statistics.locations(project, "sea") == {DAY: "/b"}


def test_a_day_of_many_features(statistics: Statistics, project: str) -> None:
    many = [replace(WIND, feature=f"wind_{number:03}") for number in range(321)]
    statistics.replace(project, "sea", DAY, many, "/a", AT)
    assert read(statistics, project) == many
