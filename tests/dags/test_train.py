import json
import uuid
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from giornata.documents.model import Resources

# uuid5 of the namespace of URLs, computed apart from the code under test.
VERSION_OF_MANUAL_1 = str(uuid.uuid5(uuid.NAMESPACE_URL, "giornata://visits.large.train/manual__1"))


def edges(airflow: Any, dag: str) -> dict[str, list[str]]:
    return {name: task["then"] for name, task in airflow.dags[dag]["tasks"].items()}


def arguments(tasks: dict[str, Any]) -> dict[str, str]:
    values = tasks["train"]["application_args"]
    return dict(zip(values[::2], values[1::2], strict=True))


def test_training_then_deployment(airflow: Any):
    assert edges(airflow, "visits.amount.train") == {
        "train": ["deployment_wanted"],
        "deployment_wanted": ["deploy"],
        "deploy": [],
    }
    kinds = {name: task["kind"] for name, task in airflow.dags["visits.amount.train"]["tasks"].items()}
    assert kinds["train"] == "SparkSubmitOperator"
    assert kinds["deploy"] == "BashOperator"


def test_manual_approval_comes_before_deployment(airflow: Any):
    assert edges(airflow, "visits.large.train") == {
        "train": ["deployment_wanted"],
        "deployment_wanted": ["approve"],
        "approve": ["deploy"],
        "deploy": [],
    }
    assert airflow.dags["visits.large.train"]["tasks"]["approve"]["kind"] == "ApprovalOperator"


def test_a_model_without_deployment_is_only_trained(airflow: Any):
    assert edges(airflow, "handmade.amount.train") == {"train": []}
    assert set(airflow.dags["handmade.amount.train"]["params"]) == {
        "as_of",
        "parameters",
        "resources",
        "trials",
    }


def test_the_form_offers_what_the_document_says(airflow: Any):
    assert airflow.dags["visits.amount.train"]["defaults"] == {
        "as_of": "None",
        "parameters": "{}",
        "resources": "{}",
        "trials": "7",
        "deploy": "True",
        "tag": "'production'",
    }
    assert set(airflow.dags["visits.large.train"]["params"]) == {
        "as_of",
        "parameters",
        "resources",
        "deploy",
        "tag",
    }
    schema = airflow.dags["visits.amount.train"]["params"]
    assert schema["as_of"]["format"] == "date"
    assert schema["trials"]["minimum"] == 1
    assert schema["parameters"]["type"] == "object"
    for field in ("as_of", "trials", "parameters", "resources", "deploy", "tag"):
        assert airflow.dags["visits.amount.train"]["descriptions"][field], field


def test_the_form_takes_the_resources_that_a_document_takes(airflow: Any):
    """The form's schema and the document's own check, asked the same."""
    schema = airflow.dags["visits.amount.train"]["params"]["resources"]
    for asked in (
        {},
        {"executors": 3, "cores": 2, "memory": "600m", "gpus": 0},
        {"memory": "2g"},
        {"memory": "2gb"},
        {"memory": "0g"},
        {"memory": "99m"},
        {"memory": "459m"},
        {"memory": "465m"},
        {"memory": "466m"},
        {"memory": "470m"},
        {"memory": "1000m"},
        {"memory": "10g"},
        {"memory": 2},
        {"executors": 0},
        {"cores": "2"},
        {"gpus": -1},
        {"threads": 2},
    ):
        try:
            Resources.model_validate(asked)
        except ValidationError:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(asked, schema)
        else:
            jsonschema.validate(asked, schema)


def test_an_untouched_form_trains_as_of_the_day_of_the_run(airflow: Any):
    assert arguments(airflow.rendered["train as it stands"]) == {
        "--model": "visits/large",
        "--as-of": "2024-03-09",
        "--uuid": VERSION_OF_MANUAL_1,
        "--trained-by": "schedule",
        "--parameters": "{}",
        "--resources": "{}",
    }


def test_what_is_typed_into_the_form_reaches_the_job(airflow: Any):
    told = arguments(airflow.rendered["train as told"])
    assert told["--as-of"] == "2024-03-01"
    assert told["--trials"] == "3"
    assert told["--trained-by"] == "ada"
    assert json.loads(told["--resources"]) == {"executors": 2, "memory": "600m"}
    assert json.loads(told["--parameters"]) == {"max_depth": 3, "objective": "reg:'a' <b>"}


def test_approval_names_model_version_and_tag(airflow: Any):
    approve = airflow.rendered["train as it stands"]["approve"]
    assert approve["subject"] == f"Deploy version {VERSION_OF_MANUAL_1} of visits/large to champion?"
    assert f"giornata show {VERSION_OF_MANUAL_1}" in approve["body"]


def test_typed_text_is_no_part_of_the_shell_command(airflow: Any):
    deploy = airflow.rendered["train as told"]["deploy"]
    assert "shadow" not in deploy["bash_command"]
    assert deploy["env"]["TAG"] == "shadow"
    assert deploy["env"]["BY"] == "ada"


def test_a_run_trains_and_deploys_the_same_version(airflow: Any):
    run = airflow.runs["train"]
    version = str(uuid.uuid5(uuid.NAMESPACE_URL, f"giornata://visits.amount.train/{run['run_id']}"))
    assert run["state"] == "success"
    train, deploy = run["calls"]
    assert train[train.index("--uuid") + 1] == version
    assert deploy == [
        "giornata",
        "deploy",
        "visits/amount",
        "--uuid",
        version,
        "--tag",
        "shadow",
        "--by",
        train[train.index("--trained-by") + 1],
        "--reason",
        f"trained in visits.amount.train, run {run['run_id']}",
    ]
    assert run["events"] == [{"asset": "visits/amount", "key": None, "extra": {"uuid": version}}]


def test_deployment_can_be_declined(airflow: Any):
    run = airflow.runs["train only"]
    assert run["state"] == "success"
    assert run["tasks"] == {"train": "success", "deployment_wanted": "success", "deploy": "skipped"}
    assert [call[0] for call in run["calls"]] == ["spark-submit"]
