"""What a training may be asked, and in what words it is refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pytest

from giornata.documents import load_project
from giornata.documents.model import ModelSpec, Partition, Search
from giornata.errors import GiornataError, NotFoundError, SettingsError
from giornata.models.base import ParameterError
from giornata.settings import Settings
from jobs.training import request

PROJECTS = Path(__file__).parents[3] / "projects"
UUID = "6e1b8f0a-3b52-4c5e-9a8b-2f1f8e3c9d10"
ORDER = ["--model", "flights/trip_minutes", "--as-of", "2013-11-01", "--uuid", UUID, "--trained-by", "anna"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The example's documents and a cluster on this machine."""
    variables = {"GIORNATA_PROJECTS": str(PROJECTS), "GIORNATA_SPARK_MASTER": "local-cluster[1,1,512]"}
    return Settings(tmp_path, variables)


def test_an_order() -> None:
    found = request.parse([*ORDER, "--trials", "3", "--parameters", '{"max_depth": 4}', "--resources", "{}"])
    assert found == request.TrainingRequest(
        "flights/trip_minutes", datetime(2013, 11, 1, tzinfo=UTC), UUID, "anna", 3, {"max_depth": 4}, {}
    )
    assert request.parse(ORDER).trials is None


@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("--as-of", "2013-02-30", "--as-of: '2013-02-30' is not a date: write it as 2013-10-31"),
        ("--as-of", "0001-01-01", "--as-of: '0001-01-01' is not a date between 1900-01-01 and 2199-12-31"),
        ("--as-of", "yesterday", "--as-of: 'yesterday' is not a date"),
        ("--uuid", "7", "--uuid: '7' is not a uuid"),
        ("--trials", "0", "--trials: '0' is not a whole number, 1 or more"),
        ("--parameters", "{max_depth: 4}", "--parameters: '{max_depth: 4}' is not a JSON object"),
        ("--parameters", '{"a": [1]}', "is not a JSON object of plain values"),
        ("--parameters", "[1]", "is not a JSON object of plain values"),
        ("--resources", "2g", "--resources: '2g' is not a JSON object"),
        ("--resuorces", "{}", "unrecognized arguments: --resuorces"),
    ],
)
def test_arguments_that_are_wrong(argument: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        request.parse([*ORDER, argument, value])
    assert said in str(caught.value)


def test_an_argument_that_is_missing() -> None:
    with pytest.raises(SettingsError, match="required: --uuid"):
        request.parse(ORDER[:4])


def test_the_document_with_what_was_asked(settings: Settings) -> None:
    documents = load_project(PROJECTS / "flights")
    own = documents.model("trip_minutes")
    changes = {"--trials": "2", "--parameters": '{"max_depth": 9}', "--resources": '{"memory": "700m"}'}
    found = request.checked(settings, request.parse([*ORDER, *chain(*changes.items())]))
    before, after = own.model_dump(mode="json"), found.model_dump(mode="json")
    before["parameters"]["max_depth"] = 9
    before["search"]["trials"] = 2
    del before["search"]["space"]["max_depth"]  # it is stated now
    before["resources"]["memory"] = "700m"
    assert after == before
    assert request.checked(settings, request.parse(ORDER)) == own


def test_what_is_searched_for(settings: Settings) -> None:
    """What the order states is not; a type's own space where the document has none; nothing is no search."""

    def searched(model: str, *changes: str) -> Search | None:
        asked = ["--model", model, *ORDER[2:], *changes]
        return request.checked(settings, request.parse(asked)).search

    own = load_project(PROJECTS / "flights").model("usual_minutes").search
    assert own
    assert list(own.space) == ["min_rows"]
    assert searched("flights/usual_minutes") == own
    assert searched("flights/usual_minutes", "--parameters", '{"min_rows": 9}') is None
    assert searched("flights/usual_minutes", "--parameters", '{"min_rows": 9}', "--trials", "1") is None
    with pytest.raises(
        SettingsError, match=r"asked for 5 trials, and there is nothing to search: the order states"
    ):
        searched("flights/usual_minutes", "--parameters", '{"min_rows": 9}', "--trials", "5")
    without = load_project(PROJECTS / "flights").model("route_kinds")
    assert without.search is None
    assert searched("flights/route_kinds") is None
    drawn = searched("flights/route_kinds", "--trials", "5")
    assert drawn
    assert (drawn.trials, drawn.metric, list(drawn.space)) == (5, "silhouette", ["clusters"])
    with pytest.raises(SettingsError, match="nothing to search"):
        searched("flights/route_kinds", "--trials", "5", "--parameters", '{"clusters": 4}')


@pytest.mark.parametrize(
    ("model", "parameters"), [("late", '{"max_depth": 4}'), ("daily_departures", '{"method": "theta"}')]
)
def test_without_a_search_parts_have_nothing_to_choose_from(
    tmp_path: Path, model: str, parameters: str
) -> None:
    """What is left of the document can be read again, as records of versions are."""
    documents = load_project(PROJECTS / "flights")
    own = documents.model(model)
    by = own.partition.by if own.partition else ["row.origin"]
    partition = Partition(by=by, min_rows=60, tune="part", sets=2, trials=4)
    assert own.search
    space = {name: one for name, one in own.search.space.items() if name in parameters}
    stated = own.model_copy(
        update={"partition": partition, "search": own.search.model_copy(update={"space": space})}
    )
    changed = replace(documents, models={**documents.models, model: stated})
    asked = ["--model", f"flights/{model}", *ORDER[2:], "--parameters", parameters]
    found = request.apply_overrides(changed, request.parse(asked))
    assert (found.search, found.tune, found.sets) == (None, "once", 1)
    assert ModelSpec.model_validate_json(found.model_dump_json()) == found


def test_the_parts_of_a_forecast_choose_for_themselves_unless_its_document_says_otherwise() -> None:
    forecast = load_project(PROJECTS / "flights").model("daily_departures")
    assert (forecast.tune, forecast.sets) == ("part", None)
    assert forecast.partition

    def asked(**stated: object) -> tuple[str, int | None]:
        partition = Partition.model_validate({**forecast.partition.model_dump(exclude_unset=True), **stated})
        spec = forecast.model_copy(update={"partition": partition})
        return spec.tune, spec.sets

    assert asked(sets=2) == ("part", 2)
    assert asked(tune="once") == ("once", 1)
    assert asked(tune="level") == ("level", None)
    assert asked(tune="part", trials=9) == ("part", 3)
    other = load_project(PROJECTS / "flights").model("trip_minutes")
    assert (other.tune, other.sets) == ("once", 1)


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"--model": "flights/trip_minuts"}, NotFoundError, "did you mean 'trip_minutes'?"),
        ({"--model": "fligths/late"}, GiornataError, "fligths"),
        ({"--model": "trip_minutes"}, GiornataError, "trip_minutes"),
        ({"--parameters": '{"max_deph": 4}'}, ParameterError, "did you mean max_depth"),
        ({"--resources": '{"memory": "two"}'}, SettingsError, "memory is 'two', expected an amount such as"),
        ({"--resources": '{"memory": 2}'}, SettingsError, "memory is 2, expected an amount such as"),
        ({"--resources": '{"executors": 0}'}, SettingsError, "executors is 0, expected a whole number, 1"),
        ({"--resources": '{"cores": "4"}'}, SettingsError, "cores is '4', expected a whole number, 1"),
        ({"--resources": '{"executor": 2}'}, SettingsError, "no 'executor' (did you mean 'executors'?)"),
        ({"--resources": '{"gpus": 1}'}, SettingsError, "is trained on processors"),
        (
            {"--resources": '{"memory": "465m"}'},
            SettingsError,
            "465m is too little memory for an executor",
        ),
        ({"--resources": '{"cores": 2, "gpus": 3}'}, SettingsError, "3 gpus cannot be shared by 2 cores"),
        ({"--resources": '{"memory": "900g"}'}, SettingsError, "this machine cannot give"),
    ],
)
def test_what_is_refused(
    settings: Settings, changes: dict[str, str], kind: type[Exception], said: str
) -> None:
    asked = dict(zip(ORDER[::2], ORDER[1::2], strict=True)) | changes
    with pytest.raises(kind) as caught:
        request.checked(settings, request.parse([*chain(*asked.items())]))
    assert said in str(caught.value)


def test_resources_are_told_as_in_a_document(settings: Settings) -> None:
    """Every change that a document's own check takes is taken, with the same values."""
    asked = {"executors": 2, "cores": 1, "memory": "600m", "gpus": 0}
    found = request.checked(settings, request.parse([*ORDER, "--resources", json.dumps(asked)]))
    assert found.resources.model_dump(include=set(asked)) == asked
