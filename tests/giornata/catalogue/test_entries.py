from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from giornata.catalogue.entries import entries, search, source_of
from giornata.catalogue.uses import Use
from giornata.catalogue.versions import LiveVersion
from giornata.documents import ProjectDocuments
from giornata.records.feature_statistics import FeatureStatistics

NOW = datetime(2013, 12, 1, tzinfo=UTC)
DAY = date(2013, 11, 30)
WIND = FeatureStatistics("wind_speed", "float", DAY, 72, 0.25)


def test_an_entry_says_what_is_published_and_who_uses_it(
    load: Callable[..., ProjectDocuments], live: LiveVersion
) -> None:
    cities, weather = entries(load(), {"origin_weather": [WIND]}, [live], NOW)
    assert (weather.full_name, weather.newest, weather.rows) == ("trips/origin_weather", DAY, 72)
    assert weather.cadence == "by its own schedule, @hourly"
    assert {feature.name: feature.statistics for feature in weather.features} == {
        "wind_speed": WIND,
        "temp": None,
    }
    assert {feature.name: feature.uses for feature in weather.features} == {
        "wind_speed": (Use("minutes", documented=False, tags=("production",)),),
        "temp": (Use("minutes", documented=True, tags=()),),
    }
    assert weather.uses == (Use("minutes", documented=True, tags=("production",)),)
    assert (cities.newest, cities.rows, cities.late_since) == (None, None, None)
    assert cities.cadence == "with the project's data, on request"
    assert [str(use) for use in cities.features[0].uses] == ["minutes"], "by an expression of `define`"


def test_uses_read_like_sentences() -> None:
    uses = [Use("a", True, ()), Use("a", True, ("x", "y")), Use("a", False, ("x",))]
    assert list(map(str, uses)) == ["a", "a (live as x, y)", "a (live as x; no longer in its document)"]


def test_late_is_said_only_where_the_store_was_asked(load: Callable[..., ProjectDocuments]) -> None:
    documents = load(lambda d: d["features/city_size.yaml"].update(sla="6h"))
    late = datetime(2013, 1, 2, 6, tzinfo=UTC)
    assert [entry.late_since for entry in entries(documents, {}, [], NOW)] == [late, None]
    assert [entry.late_since for entry in entries(documents, None, [], NOW)] == [None, None]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {"city_size": ["people"], "origin_weather": ["wind_speed", "temp"]}),
        ("WEATHER-team", {"origin_weather": ["wind_speed", "temp"]}),
        ("temperature", {"origin_weather": ["temp"]}),
        ("weather mph", {"origin_weather": ["wind_speed"]}),
        ("wind temperature", {}),
        ("origin", {"origin_weather": ["wind_speed", "temp"]}),
        ("maps", {"city_size": ["people"]}),
    ],
)
def test_search(load: Callable[..., ProjectDocuments], text: str, found: dict[str, list[str]]) -> None:
    results = search(entries(load(), None, [], NOW), text)
    assert {group.name: [feature.name for feature in group.features] for group in results} == found


def test_the_source_is_the_file_beside_the_document_or_the_document(
    load: Callable[..., ProjectDocuments],
) -> None:
    documents = load()
    query = documents.folder / "features" / "city_size.sql"
    assert source_of(documents, "city_size").kind == "SQL"
    query.rename(query.with_suffix(".py"))
    assert source_of(documents, "city_size").kind == "Python"
    query.with_suffix(".py").unlink()
    source = source_of(documents, "city_size")
    assert (source.kind, source.text.splitlines()[0]) == ("document", "description: How big a city is")
