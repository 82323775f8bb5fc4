from typing import Any

CHAIN = ["features", "ingest", "monitor", "score"]


def test_the_dag_processor_knows_every_good_project(airflow: Any):
    assert airflow.known == [
        "bare.ingest",
        "handmade.amount.train",
        "handmade.features",
        "handmade.repush",
        "handmade.shop_load.features",
        "visits.amount.train",
        "visits.features",
        "visits.ingest",
        "visits.large.train",
        "visits.monitor",
        "visits.repush",
        "visits.score",
        "visits.shop_load.features",
    ]


def test_a_broken_document_is_an_import_error_of_its_project_alone(airflow: Any):
    assert list(airflow.import_errors) == ["broken.dags.py"]


def test_the_import_error_shows_the_place_and_no_traceback(airflow: Any):
    message = airflow.import_errors["broken.dags.py"]
    assert "broken/models/large.yaml:4:7: 'bynary'" in message
    assert "    task: bynary\n          ^^^^^^" in message
    assert "broken/models/amount.yaml:3:11: '25' is not an hour of a cron line (0 to 23" in message
    assert "Traceback" not in message


def test_the_first_of_the_chain_has_the_schedule_and_the_others_follow(airflow: Any):
    dags = airflow.dags
    assert dags["visits.ingest"]["schedule"] == "CronDataIntervalTimetable"
    assert dags["visits.ingest"]["cron"] == "0 0 * * *"
    outlets = {
        name: [asset for task in dags[f"visits.{name}"]["tasks"].values() for asset in task["outlets"]]
        for name in CHAIN
    }
    assert outlets == {
        "ingest": ["visits.tables"],
        "features": ["visits.features"],
        "score": ["visits.predictions"],
        "monitor": [],
    }
    follows = {name: dags[f"visits.{name}"]["after"] for name in CHAIN}
    assert follows == {
        "ingest": None,
        "features": "visits.tables",
        "score": "visits.features",
        "monitor": "visits.predictions",
    }


def test_without_loaders_the_features_have_the_schedule(airflow: Any):
    assert airflow.dags["handmade.features"]["cron"] == "0 0 * * *"


def test_a_run_hands_its_days_on_as_a_partition_key(airflow: Any):
    run = airflow.runs["chain"]
    assert run["state"] == "success"
    assert run["events"] == [{"asset": "visits.tables", "key": "2024-02-01/2024-02-04", "extra": {}}]
    assert run["queued"] == [["visits.features", "2024-02-01/2024-02-04"]]


def test_reading_the_dags_is_light(airflow: Any):
    assert airflow.imported == []
    assert airflow.seconds < 5


def test_a_run_is_made_of_the_documents_it_was_asked_for_with(airflow: Any):
    assert airflow.pinned["version"]
    assert (airflow.pinned["trials"], airflow.pinned["is newer"]) == (7, True)
