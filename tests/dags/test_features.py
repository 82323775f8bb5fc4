from typing import Any

# When the run of the test began: what a first try of its task has published, a second leaves as it is.
SINCE = ("--since", "2024-03-09T23:31:00+00:00")


def test_all_groups_for_the_days_handed_on(airflow: Any):
    assert airflow.rendered["features by asset"]["materialize"]["application_args"] == [
        "--project",
        "visits",
        "--groups",
        "",
        *SINCE,
        "--from",
        "2024-02-01",
        "--to",
        "2024-02-04",
        "--resources",
        "{}",
    ]


def test_some_groups_for_days_typed_into_the_form(airflow: Any):
    assert airflow.dags["visits.features"]["params"]["groups"]["items"]["enum"] == ["shop_load"]
    arguments = airflow.rendered["features by hand"]["materialize"]["application_args"]
    assert arguments[:4] == ["--project", "visits", "--groups", "shop_load"]
    assert arguments[-6:] == ["--from", "2024-02-01", "--to", "2024-02-04", "--resources", '{"executors": 3}']


def test_a_group_with_a_schedule_is_computed_alone_for_the_whole_day(airflow: Any):
    dag = airflow.dags["visits.shop_load.features"]
    assert dag["cron"] == "0 * * * *"
    assert dag["tasks"]["materialize"]["outlets"] == []
    assert airflow.rendered["group by schedule"]["materialize"]["application_args"] == [
        "--project",
        "visits",
        "--groups",
        "shop_load",
        *SINCE,
        "--from",
        "2024-02-07",
        "--to",
        "2024-02-08",
        "--resources",
        "{}",
    ]


def test_what_is_online_is_written_again_on_request(airflow: Any):
    dag = airflow.dags["visits.repush"]
    assert (dag["cron"], dag["after"]) == (None, None)
    assert dag["params"]["groups"]["items"]["enum"] == ["shop_load"]
    arguments = ["--project", "visits", "--groups"]
    for case, groups in (("repush all", ""), ("repush some", "shop_load,shop_size")):
        task = airflow.rendered[case]["repush"]
        assert task["application"].endswith("/jobs/repush.py")
        assert task["application_args"] == [*arguments, groups, "--resources", "{}"]


def test_no_dag_without_a_group(airflow: Any):
    assert "bare.features" not in airflow.dags
    assert "bare.repush" not in airflow.dags
