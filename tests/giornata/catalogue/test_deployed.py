"""What `giornata check` says when documents no longer have what a live version reads."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from giornata.catalogue.deployed import KEEP, RENAME, deployed_problems, superseded
from giornata.catalogue.versions import LiveVersion
from giornata.documents import ProjectDocuments, load_project

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
