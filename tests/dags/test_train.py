import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from giornata.documents.resources import Resources
from giornata.settings import Settings

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
    assert kinds["train"] == "SparkJob"
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
    assert offered(airflow, "handmade.amount.train") == {"as_of", "parameters", "resources", "trials"}


def offered(airflow: Any, dag: str) -> set[str]:
    """The fields that the form shows: Airflow hides those that can have one value alone."""
    return {name for name, schema in airflow.dags[dag]["params"].items() if "const" not in schema}


@pytest.mark.parametrize(
    ("dag", "field", "value"),
    [
        ("visits.amount.train", "trials", 0),
        ("visits.amount.train", "trials", "9"),
        ("visits.large.train", "trials", 0),
        ("visits.large.train", "trials", 9),
        ("handmade.amount.train", "tag", "production"),
        ("handmade.amount.train", "deploy", True),
    ],
)
def test_what_a_model_has_not_cannot_be_asked_of_it(airflow: Any, dag: str, field: str, value: object):
    """By the schema that Airflow holds a request for a run against, whether it comes from the form or not."""
    schema = airflow.dags[dag]["params"][field]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, schema)
    default = airflow.dags[dag]["defaults"][field]
    jsonschema.validate({"None": None, "7": 7}[default], schema)


def test_what_is_no_field_of_the_form_fails_the_run_at_once(airflow: Any):
    run = airflow.runs["train with what is no field"]
    assert (run["state"], run["tries"]["train"], run["calls"]) == ("failed", 1, [])


def test_the_form_offers_what_the_document_says(airflow: Any):
    assert airflow.dags["visits.amount.train"]["defaults"] == {
        "as_of": "None",
        "parameters": "{}",
        "resources": "{}",
        "trials": "7",
        "deploy": "True",
        "tag": "'production'",
    }
    assert offered(airflow, "visits.large.train") == {"as_of", "parameters", "resources", "deploy", "tag"}
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


def test_a_model_with_a_schedule_is_trained_by_it(airflow: Any):
    dag = airflow.dags["visits.amount.train"]
    assert (dag["schedule"], dag["cron"]) == ("CronTriggerTimetable", "0 6 1 * *")
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)


def test_a_model_without_a_schedule_is_trained_on_request(airflow: Any):
    for name in ("visits.large.train", "handmade.amount.train"):
        assert (airflow.dags[name]["cron"], airflow.next_runs[name]) == (None, None)


def test_a_schedule_begins_with_its_next_moment(airflow: Any):
    begins = datetime.fromisoformat(airflow.next_runs["visits.amount.train"])
    assert (begins.day, begins.hour, begins.minute) == (1, 6, 0)
    assert begins > datetime.now(UTC) - timedelta(hours=1)


def test_a_scheduled_run_trains_as_the_document_says_as_of_its_day(airflow: Any):
    assert arguments(airflow.rendered["train by schedule"]) == {
        "--model": "visits/amount",
        "--as-of": "2024-03-01",
        "--uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, "giornata://visits.amount.train/scheduled__1")),
        "--trained-by": "schedule",
        "--parameters": "{}",
        "--resources": "{}",
        "--trials": "7",
    }


def test_what_a_schedule_trains_is_deployed_as_the_document_says(airflow: Any):
    deployed = airflow.rendered["train by schedule"]["deploy"]["env"]
    assert (deployed["MODEL"], deployed["TAG"], deployed["BY"]) == ("visits/amount", "production", "schedule")
    assert deployed["VERSION"] == arguments(airflow.rendered["train by schedule"])["--uuid"]


def test_a_run_by_hand_is_of_its_own_day_and_not_of_the_schedules(airflow: Any):
    train, deploy = airflow.runs["train by hand"]["calls"]
    age = datetime.now(UTC).date() - datetime.fromisoformat(train[train.index("--as-of") + 1]).date()
    assert age <= timedelta(days=1)
    assert deploy[deploy.index("--tag") + 1] == "production"


def test_approval_names_model_version_and_tag(airflow: Any):
    approve = airflow.rendered["train as it stands"]["approve"]
    assert approve["subject"] == f"Deploy version {VERSION_OF_MANUAL_1} of visits/large to champion?"
    assert f"giornata show {VERSION_OF_MANUAL_1}" in approve["body"]


def test_approval_says_when_it_cannot_say_what_the_version_warns_of(airflow: Any):
    body = airflow.rendered["train as it stands"]["approve"]["body"]
    assert "\n\n**WARNING**: the version's warnings cannot be read: " in body


# In a process that may import Airflow: what the approval shows and the end of the training task logs.
WARNED = """
import json, logging, types
from dags import train
from giornata.stores.repository import Repository

Repository.get = lambda self, uuid: types.SimpleNamespace(warnings=["feature paid: it knows", "of " + uuid])
logging.basicConfig(format="%(levelname)s %(message)s", force=True)  # Airflow has handlers of its own
run = types.SimpleNamespace(dag_id="visits.large.train", run_id="manual__1")
from jinja2 import Template
body = Template(train.WARNINGS).render(warnings=train.warnings, dag_run=run)
train._announce({"task": types.SimpleNamespace(outlets=[]), "outlet_events": {}, "dag_run": run})
print("BODY" + json.dumps(body))
"""


def test_what_a_version_warns_of_is_logged_and_shown_to_who_approves(airflow: Any, stores: Settings):
    environment = airflow.environment | dict(stores.variables)
    done = subprocess.run(
        [sys.executable, "-c", WARNED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    sentences = ["feature paid: it knows", f"of {VERSION_OF_MANUAL_1}"]
    (body,) = (line for line in done.stdout.splitlines() if line.startswith("BODY"))
    assert json.loads(body.removeprefix("BODY")) == "".join(f"\n\n**WARNING**: {each}" for each in sentences)
    assert [line for line in done.stderr.splitlines() if line.startswith("WARNING ")] == [
        f"WARNING {each}" for each in sentences
    ]


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
