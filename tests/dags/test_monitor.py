from typing import Any


def test_the_prediction_log_is_collected_and_its_features_checked_before_measuring(airflow: Any):
    tasks = airflow.dags["visits.monitor"]["tasks"]
    assert {name: task["then"] for name, task in tasks.items()} == {
        "collect_log": ["check_consistency"],
        "check_consistency": ["monitor"],
        "monitor": [],
    }


def test_commands(airflow: Any):
    tasks = airflow.rendered["monitor by asset"]
    assert tasks["collect_log"]["application_args"] == ["--project", "visits"]
    for job in ("check_consistency", "monitor"):
        assert tasks[job]["application_args"][2:] == ["--from", "2024-02-01", "--to", "2024-02-04"]


def test_no_dag_without_a_model_to_deploy(airflow: Any):
    assert "handmade.monitor" not in airflow.dags
