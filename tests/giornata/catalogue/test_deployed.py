"""Messages of `giornata check` when documents lack features that a live version reads."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from giornata.catalogue.deployed import KEEP, RENAME, deployed_problems, superseded
from giornata.catalogue.versions import LiveVersion
from giornata.documents import ProjectDocuments, load_project
from giornata.documents.group_source import read_source
from giornata.errors import DocumentErrors

WEATHER, TABLE = "features/origin_weather.yaml", "tables/departures.yaml"


def without(path: str, *keys: str) -> Callable[[dict[str, Any]], None]:
    def change(documents: dict[str, Any]) -> None:
        place = documents[path]
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


def with_(value: object, path: str, *keys: str) -> Callable[[dict[str, Any]], None]:
    def change(documents: dict[str, Any]) -> None:
        place = documents[path]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def no_weather(documents: dict[str, Any]) -> None:
    documents[WEATHER] = None
    documents["models/minutes.yaml"]["features"].pop("temp")


def remedy(problem: str) -> str:
    if "now have" not in problem:
        return KEEP
    if "departures" in problem:
        return RENAME
    return (
        "leave features/origin_weather.yaml as it is and write what changes as a new version of the group, "
        "features/origin_weather.v2.yaml"
    )


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (lambda documents: None, []),
        (
            without(WEATHER, "features", "wind_speed"),
            ["reads origin_weather.wind_speed (float), which the documents no longer have"],
        ),
        (
            with_("int", WEATHER, "features", "wind_speed", "type"),
            ["reads origin_weather.wind_speed as float, which the documents now have as int"],
        ),
        (no_weather, ["reads feature group origin_weather, which the documents no longer have"]),
        (
            with_({"origin": "str", "stops": "int"}, WEATHER, "entity"),
            [
                "reads origin_weather by the entity origin (str), which the documents now have as "
                "origin (str), stops (int)"
            ],
        ),
        (
            without(TABLE, "columns", "late"),
            ["reads departures.late (bool), which the documents no longer have"],
        ),
        (
            with_("float", TABLE, "columns", "stops"),
            ["reads departures.stops as int, which the documents now have as float"],
        ),
        (with_("Another", WEATHER, "description"), []),
    ],
)
def test_what_is_gone_or_changed(
    load: Callable[..., ProjectDocuments],
    live: LiveVersion,
    change: Callable[[dict[str, Any]], None],
    problems: list[str],
) -> None:
    start = f"version {live.version.uuid} of minutes, live as production, "
    assert deployed_problems(load(change), [live]) == [
        f"{start}{problem}: {remedy(problem)}" for problem in problems
    ]


QUERY = "SELECT origin, at AS event_time, wind_speed, temp FROM weather WHERE at >= :from AND at < :to"
FUNCTION = "def compute(spark, start, end):\n    return spark.table('weather').where('at is not null')\n"
EVENTS = {"table": "departures", "time": "left_at"}


def window(documents: dict[str, Any], over: str, **more: Any) -> None:
    """Make the weather a group of windows over departures."""
    weather = documents[WEATHER]
    weather["events"] = {**EVENTS, **more}
    weather["ttl"] = "3d"
    weather["features"] = {
        name: {"type": "float", "description": name, "window": {"mean": "distance", "over": over}}
        for name in ("wind_speed", "temp")
    }


class Changing:
    """A version that is live, and the documents after it was trained, as tests change them."""

    def __init__(self, load: Callable[..., ProjectDocuments], folder: Path, live: LiveVersion):
        self._load, self._folder, self._live = load, folder, live

    def documents(self, change: Callable[[dict[str, Any]], None], **sources: str) -> ProjectDocuments:
        """The documents; `sources` are the weather's `sql` or `py`."""
        group = self._folder / WEATHER
        with suppress(DocumentErrors):  # what it gets its rows from is still to come
            self._load(change)
        for kind in ("sql", "py"):
            group.with_suffix(f".{kind}").unlink(missing_ok=True)
            if kind in sources:
                group.with_suffix(f".{kind}").write_text(sources[kind])
        return load_project(self._folder)

    def trained(self, documents: ProjectDocuments) -> LiveVersion:
        """The version, trained on these documents."""
        groups = {name: documents.group(name) for name in self._live.version.groups}
        sources = {name: read_source(documents, name) for name in groups}
        return replace(
            self._live, version=self._live.version.model_copy(update={"groups": groups, "sources": sources})
        )


@pytest.fixture
def changing(load: Callable[..., ProjectDocuments], live: LiveVersion, tmp_path: Path) -> Changing:
    return Changing(load, tmp_path / "trips", live)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            lambda documents: window(documents, "3h"),
            lambda documents: window(documents, "6h"),
            "reads origin_weather.wind_speed with the window {mean: distance, over: 3h}, which the documents now have "
            "with {mean: distance, over: 6h}",
        ),
        (
            lambda documents: window(documents, "3h"),
            lambda documents: window(documents, "3h", filed_ahead="2d"),
            "reads origin_weather of windows over departures by left_at, filed_ahead 7d, which the documents now "
            "have of windows over departures by left_at, filed_ahead 2d",
        ),
        (
            lambda documents: window(documents, "3h"),
            with_("4d", WEATHER, "ttl"),
            "reads origin_weather with ttl 3d, which the documents now have with ttl 4d",
        ),
    ],
)
def test_a_changed_meaning_of_windows(
    changing: Changing,
    before: Callable[[dict[str, Any]], None],
    after: Callable[[dict[str, Any]], None],
    problem: str,
) -> None:
    live = changing.trained(changing.documents(before))

    def both(documents: dict[str, Any]) -> None:
        before(documents)
        after(documents)

    assert deployed_problems(changing.documents(before), [live]) == []
    (found,) = deployed_problems(changing.documents(both), [live])
    assert found == (
        f"version {live.version.uuid} of minutes, live as production, {problem}: leave features/origin_weather.yaml as "
        "it is and write what changes as a new version of the group, features/origin_weather.v2.yaml"
    )


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            {"sql": QUERY},
            {"sql": QUERY.replace("AND at", "AND wind_speed > 0 AND at")},
            "query is now another",
        ),
        ({"py": FUNCTION}, {"py": FUNCTION.replace("not null", "null")}, "function is now another"),
        ({"sql": QUERY}, {"py": FUNCTION}, "query is now another, a function"),
    ],
)
def test_a_changed_source_unless_it_is_said_to_mean_the_same(
    changing: Changing, before: dict[str, str], after: dict[str, str], told: str
) -> None:
    same = changing.documents(lambda documents: None, **before)
    live = changing.trained(same)
    assert deployed_problems(same, [live]) == []
    (found,) = deployed_problems(changing.documents(lambda documents: None, **after), [live])
    start = f"version {live.version.uuid} of minutes, live as production, reads origin_weather, whose {told}: leave "
    assert found.startswith(start)
    way = "; or, if it means the same, write same_meaning: ["
    listed, _, rest = found.partition(way)[2].partition("]")
    assert rest == " in features/origin_weather.yaml"

    mended = with_(listed.split(", "), WEATHER, "same_meaning")
    assert deployed_problems(changing.documents(mended, **after), [live]) == []
    # That says nothing of the next change.
    again = {kind: text.replace("weather", "weather_seen") for kind, text in after.items()}
    (found,) = deployed_problems(changing.documents(mended, **again), [live])
    assert found.startswith(start)


def test_what_does_not_change_the_meaning(changing: Changing) -> None:
    live = changing.trained(changing.documents(lambda documents: None, sql=QUERY))

    def change(documents: dict[str, Any]) -> None:
        weather = documents[WEATHER]
        weather |= {"history": "30d", "sla": "6h", "description": "Another", "looks_back": "2d"}
        weather["features"]["gusts"] = {"type": "float", "description": "New"}

    text = f"-- with gusts\n{QUERY.replace(', temp', ', gusts * 2 AS gusts, temp')}"
    assert deployed_problems(changing.documents(change, sql=text), [live]) == []
    # A record from before sources were kept is judged by its groups alone.
    old = replace(live, version=live.version.model_copy(update={"sources": {}}))
    documents = changing.documents(lambda documents: None, sql=QUERY.replace("weather", "weather_seen"))
    assert deployed_problems(documents, [old]) == []
    assert len(deployed_problems(documents, [live])) == 1


def test_a_feature_that_is_gone_is_told_once(changing: Changing) -> None:
    live = changing.trained(changing.documents(lambda documents: None, sql=QUERY))
    documents = changing.documents(
        without(WEATHER, "features", "wind_speed"), sql=QUERY.replace(" wind_speed,", "")
    )
    (found,) = deployed_problems(documents, [live])
    assert "reads origin_weather.wind_speed (float), which the documents no longer have" in found


def test_rows_of_online_requests_are_the_callers_affair(
    load: Callable[..., ProjectDocuments], live: LiveVersion
) -> None:
    documents = load(without(TABLE, "columns", "late"))
    assert deployed_problems(documents, [replace(live, modes=frozenset({"online"}))]) == []


def test_the_age_of_a_row_is_no_feature_of_the_group_and_other_projects_do_not_count(
    load: Callable[..., ProjectDocuments], live: LiveVersion
) -> None:
    documents = load(without(WEATHER, "features", "wind_speed"))
    read = live.version.signature.store["origin_weather"]
    aged = read.model_copy(update={"features": {"event_age": "float"}})
    signature = live.version.signature.model_copy(update={"store": {"origin_weather": aged}})
    changed = live.version.model_copy(update={"signature": signature})
    assert deployed_problems(documents, [replace(live, version=changed)]) == []
    other = live.version.model_copy(update={"model": "others/minutes"})
    assert deployed_problems(documents, [replace(live, version=other)]) == []


def test_a_record_without_groups_is_compared_by_the_names_of_the_entity(
    load: Callable[..., ProjectDocuments], live: LiveVersion
) -> None:
    old = replace(live, version=live.version.model_copy(update={"groups": {}}))
    assert deployed_problems(load(), [old]) == []
    (problem,) = deployed_problems(load(with_({"stops": "int"}, WEATHER, "entity")), [old])
    assert "by the entity origin, which the documents now have as stops (int): " in problem


def test_old_versions_of_groups_and_who_still_reads_them(
    load: Callable[..., ProjectDocuments], live: LiveVersion
) -> None:
    def change(documents: dict[str, Any]) -> None:
        documents["features/origin_weather.v3.yaml"] = documents[WEATHER]
        documents["features/city_size.v2.yaml"] = documents["features/city_size.yaml"]

    assert superseded(load(), [live]) == []
    documents = load(change)
    assert deployed_problems(documents, [live]) == []
    assert superseded(documents, [live]) == [
        "features/city_size.yaml has a newer version, features/city_size.v2.yaml, and no live version reads it: "
        "it may be removed, with its source",
        "features/origin_weather.yaml has a newer version, features/origin_weather.v3.yaml, and is still read: "
        f"version {live.version.uuid} of minutes, live as production",
    ]
    assert "no live version reads it" in superseded(documents, [])[1]
    (documents.folder / WEATHER).unlink()
    (documents.folder / WEATHER).with_suffix(".sql").unlink()
    (problem,) = deployed_problems(load_project(documents.folder), [live])
    assert "reads feature group origin_weather, which the documents no longer have" in problem
