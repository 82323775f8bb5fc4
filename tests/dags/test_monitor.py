from typing import Any


def test_one_application_collects_the_prediction_log_checks_its_features_and_measures(airflow: Any):
    assert {name: task["then"] for name, task in airflow.dags["visits.monitor"]["tasks"].items()} == {
        "monitor": []
    }


def test_its_command(airflow: Any):
    arguments = airflow.rendered["monitor by asset"]["monitor"]["application_args"]
    assert arguments[:6] == ["--project", "visits", "--from", "2024-02-01", "--to", "2024-02-04"]
    assert arguments[6:] == ["--resources", "{}"]


def test_no_dag_without_a_model_to_deploy(airflow: Any):
    assert "handmade.monitor" not in airflow.dags
