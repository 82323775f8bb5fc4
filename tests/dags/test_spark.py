from pathlib import Path
from typing import Any

JOBS = Path(__file__).resolve().parents[2] / "jobs"


def test_every_dag_tells_whose_it_is_and_what_it_does(airflow: Any):
    for name, dag in airflow.dags.items():
        project = name.split(".")[0]
        assert set(dag["tags"]) == {"giornata", project}
        assert f"Owner: {dag['owner']}." in dag["doc"]
        assert f"/projects/{project}`" in dag["doc"]
        assert dag["start"] == (None if name.endswith(".train") else "2024-01-01T00:00:00+00:00")
    owners = {name: dag["owner"] for name, dag in airflow.dags.items() if name.startswith("visits.")}
    assert owners == {
        "visits.ingest": "visits-team",
        "visits.features": "visits-team",
        "visits.shop_load.features": "shops-team",
        "visits.score": "visits-team",
        "visits.monitor": "visits-team",
        "visits.repush": "visits-team",
        "visits.amount.train": "money-team",
        "visits.large.train": "money-team",
    }


def test_every_task_has_limits(airflow: Any):
    for dag in airflow.dags.values():
        assert dag["max_active_runs"] == 1
        assert dag["catchup"] is False
        for task in dag["tasks"].values():
            assert task["retries"] <= 1
            assert task["retry_delay"] == 30
            assert task["limit"] > 0


def test_days_can_be_picked_and_must_be_where_nothing_else_tells_them(airflow: Any):
    for name in ("visits.ingest", "visits.features", "visits.score", "visits.monitor"):
        for date in ("from", "to"):
            schema = airflow.dags[name]["params"][date]
            assert (schema["format"], schema["type"]) == ("date", ["null", "string"])
    for date in ("from", "to"):
        schema = airflow.dags["bare.ingest"]["params"][date]
        assert (schema["format"], schema["type"]) == ("date", "string")


def test_the_jobs_of_a_run_read_a_copy_of_the_documents(airflow: Any):
    copies = {
        fields["env_vars"]["GIORNATA_PROJECTS"]
        for case, tasks in airflow.rendered.items()
        for fields in tasks.values()
        if case.endswith("by asset") and "env_vars" in fields
    }
    home, projects = (Path(airflow.environment[name]) for name in ("GIORNATA_HOME", "GIORNATA_PROJECTS"))
    (copy,) = map(Path, copies)
    assert copy.parent == home / "documents"
    for document in ("project.yaml", "models/amount.yaml", "features/shop_load.sql", "tables/visits.py"):
        assert (copy / "visits" / document).read_bytes() == (projects / "visits" / document).read_bytes()


def test_a_run_submits_the_job_to_spark(airflow: Any):
    (call,) = airflow.runs["chain"]["calls"]
    assert call[:3] == ["spark-submit", "--master", "local[2]"]
    assert call[-9:] == [
        str(JOBS / "ingest.py"),
        "--project",
        "visits",
        "--from",
        "2024-02-01",
        "--to",
        "2024-02-04",
        "--resources",
        "{}",
    ]
    assert (JOBS / "runtime" / "log4j2.properties").is_file()
    assert f"-Dlog4j2.configurationFile={JOBS / 'runtime' / 'log4j2.properties'}" in " ".join(call)


def test_a_run_without_days_fails_at_once_and_starts_no_spark(airflow: Any):
    run = airflow.runs["no days"]
    assert run["state"] == "failed"
    assert run["tries"] == {"score": 1}
    assert run["calls"] == []
    assert run["events"] == []


def test_spark_jobs_share_a_pool_that_nothing_else_waits_for(airflow: Any):
    pools = {
        (task["kind"] == "SparkJob", task["pool"])
        for dag in airflow.dags.values()
        for task in dag["tasks"].values()
    }
    assert pools == {(True, "jobs_of_spark"), (False, "default_pool")}


def test_scores_and_monitoring_go_before_tables_and_features_and_these_before_training(airflow: Any):
    priorities = {
        name: task["priority"]
        for dag in airflow.dags.values()
        for name, task in dag["tasks"].items()
        if task["kind"] == "SparkJob"
    }
    first, second, third = (
        {priorities[name] for name in names}
        for names in (
            ("score", "monitor"),
            ("ingest", "materialize"),
            ("train", "repush"),
        )
    )
    assert min(first) > max(second)
    assert min(second) > max(third)


def test_only_a_failure_that_may_pass_is_tried_again(airflow: Any):
    assert airflow.failures == {
        "1": "AirflowException",
        "65": "AirflowFailException",
        "143": "AirflowException",
    }


def test_of_ranges_that_wait_the_newest_that_covers_the_others_does_their_work(airflow: Any):
    assert {case for case, skipped in airflow.skips.items() if skipped} == {
        f"{dag}: a newer one that covers it" for dag in ("score", "monitor")
    }
    assert airflow.dags["visits.score"]["tasks"]["score"]["inlets"] == ["visits.features"]
    assert airflow.dags["visits.monitor"]["tasks"]["monitor"]["inlets"] == ["visits.predictions"]
