"""An installation tells its servers where things are and keeps the user's own configuration from them."""

import json
from pathlib import Path

import pytest

from giornata.settings import load_settings
from stack.errors import StackError
from stack.installation import REPOSITORY, Installation, installation
from stack.ports import DEFAULT_FILE, Ports

# In the order of the fields: cassandra 1, cassandra_storage 2, metastore 3, thriftserver 4, mail 5, …
PORTS = Ports(*range(1, 21))


def test_every_setting_can_be_read_from_its_variables(tmp_path: Path) -> None:
    settings = load_settings(Installation(tmp_path, PORTS).variables())
    assert settings.home == tmp_path
    assert settings.projects == REPOSITORY / "projects"
    assert settings.cassandra == "127.0.0.1:1"
    assert settings.metastore == "thrift://127.0.0.1:3"
    assert settings.hiveserver == "127.0.0.1:4"
    assert settings.smtp == "127.0.0.1:5"
    assert settings.serving == "http://127.0.0.1:6"
    assert settings.airflow == "http://127.0.0.1:7"
    assert settings.warehouse == str(tmp_path / "warehouse")
    assert settings.bundles == tmp_path / "bundles"
    assert settings.prediction_log == tmp_path / "prediction_log"
    assert settings.mlflow == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert settings.spark_master == "local-cluster[2,1,1024]"
    assert settings.mail_from == "giornata@example.com"


def test_what_a_user_configured_for_other_programs_does_not_reach_the_servers(tmp_path: Path) -> None:
    inherited = {
        "PATH": "/usr/bin",
        "LANG": "C.UTF-8",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW_HOME": "/elsewhere",
        "SPARK_HOME": "/opt/spark",
        "PYTHONPATH": "/elsewhere",
        "GIORNATA_HOME": "/elsewhere",
    }
    environment = Installation(tmp_path, PORTS).environment(inherited)
    assert environment["LANG"] == "C.UTF-8"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert environment["PYTHONPATH"] == str(REPOSITORY)
    assert environment["GIORNATA_HOME"] == str(tmp_path)
    assert "SPARK_HOME" not in environment


def test_a_company_proxy_is_not_asked_for_what_is_on_this_machine(tmp_path: Path) -> None:
    environment = Installation(tmp_path, PORTS).environment({"PATH": "", "NO_PROXY": "intranet.example.com"})
    assert environment["NO_PROXY"] == "127.0.0.1,localhost,intranet.example.com"


def test_airflow_finds_mail_server_and_its_own_address(tmp_path: Path) -> None:
    environment = Installation(tmp_path, PORTS).environment({"PATH": ""})
    smtp = json.loads(environment["AIRFLOW_CONN_SMTP_DEFAULT"])
    assert (smtp["host"], smtp["port"], smtp["extra"]["disable_tls"]) == ("127.0.0.1", 5, True)
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:7"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:7/execution/"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_the_environment_chooses_folder_ports_and_projects(tmp_path: Path) -> None:
    ports = tmp_path / "ports.env"
    ports.write_text(DEFAULT_FILE.read_text().replace("AIRFLOW_PORT=18080", "AIRFLOW_PORT=28080"))
    chosen = installation(
        {"GIORNATA_HOME": str(tmp_path), "GIORNATA_PORTS": str(ports), "GIORNATA_PROJECTS": "/projects"}
    )
    assert chosen.home == tmp_path
    assert chosen.ports.airflow == 28080
    assert chosen.projects == Path("/projects")


def test_by_default_the_state_lies_in_the_repository() -> None:
    assert installation({}).home == REPOSITORY / ".local"


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="set GIORNATA_HOME to a folder of at most 84 characters"):
        Installation(tmp_path / ("x" * 100), PORTS)
    longest = Path("/" + "x" * 83)
    assert Installation(longest, PORTS).home == longest


def test_what_is_said_of_the_cluster_reaches_the_jobs() -> None:
    said = {"GIORNATA_SPARK_MASTER": "spark://a:7077", "GIORNATA_SPARK_MASTER_WEB": "http://a:8080"}
    variables = installation({**said, "GIORNATA_KUBERNETES_IMAGE": ""}).variables()
    assert variables.items() >= said.items()
    assert "GIORNATA_KUBERNETES_IMAGE" not in variables
