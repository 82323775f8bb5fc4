from collections.abc import Callable
from typing import Any

from giornata.settings import Settings
from giornata.stores import hive


def command(airflow: Any, case: str) -> list[str]:
    return airflow.rendered[case]["ingest"]["application_args"]


def test_days_typed_into_the_form(airflow: Any):
    assert command(airflow, "ingest by hand") == [
        "--project",
        "visits",
        "--from",
        "2024-02-01",
        "--to",
        "2024-02-04",
        "--resources",
        "{}",
    ]


def test_days_of_the_schedule(airflow: Any):
    days = ["--from", "2024-02-07", "--to", "2024-02-08"]
    assert command(airflow, "ingest by schedule")[2:] == [*days, "--resources", "{}"]


def test_no_dag_without_a_loader(airflow: Any):
    assert "handmade.ingest" not in airflow.dags
    assert list(airflow.dags["bare.ingest"]["tasks"]) == ["ingest"]


def test_a_run_loads_the_days_into_hive(run_with_spark: Callable[..., dict[str, Any]], stores: Settings):
    # The loader has a visit every twelve hours from noon of 1 February on, the basket counts them from zero.
    run = run_with_spark("visits.ingest", {"from": "2024-02-01", "to": "2024-02-04"})
    assert run["state"] == "success"
    rows = hive.query(
        stores,
        "SELECT day, count(*) AS visits, sum(basket) AS baskets FROM visits.visits GROUP BY day ORDER BY day",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("2024-02-01", 1, 0.0),
        ("2024-02-02", 2, 1.0 + 2.0),
        ("2024-02-03", 2, 3.0 + 4.0),
    ]
