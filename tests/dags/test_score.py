from typing import Any


def test_scores_the_days_handed_on(airflow: Any):
    assert airflow.rendered["score by asset"]["score"]["application_args"] == [
        "--project",
        "visits",
        "--from",
        "2024-02-01",
        "--to",
        "2024-02-04",
        "--resources",
        "{}",
    ]


def test_no_dag_without_a_model_for_batches(airflow: Any):
    assert "handmade.score" not in airflow.dags
    assert "bare.score" not in airflow.dags
