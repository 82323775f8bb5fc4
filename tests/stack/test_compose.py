"""The container description agrees with the stack that needs no containers."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack.installation import REPOSITORY, Installation
from stack.ports import DEFAULT_FILE, Ports, load_ports, variable
from stack.readiness import CHECKS
from stack.services import services


@pytest.fixture
def compose() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    return Installation(tmp_path, load_ports())


def test_compose_itself_reads_it_where_it_is_installed() -> None:
    tool = shutil.which("docker-compose")
    if tool is not None:
        command = [tool, "--env-file", str(DEFAULT_FILE), "config", "--quiet"]
        subprocess.run(command, cwd=REPOSITORY, check=True, timeout=60)


def test_has_every_server(compose: dict[str, Any], here: Installation) -> None:
    # In its container, Airflow starts its other processes itself.
    expected = {
        name
        for name, service in services(here).items()
        if not name.startswith("airflow-") and not service.optional
    }
    assert set(compose["services"]) == expected


def test_publishes_the_ports_of_the_ports_file_on_loopback(
    compose: dict[str, Any], here: Installation
) -> None:
    for name, service in compose["services"].items():
        (published,) = service["ports"]
        address, port, _ = published.split(":")
        assert address == "127.0.0.1"
        assert port == f"${{{variable(services(here)[name].ports[0])}}}"


def test_every_variable_is_in_the_ports_file() -> None:
    used = set(re.findall(r"\$\{(\w+)", (REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8")))
    assert used
    assert used <= {line.partition("=")[0] for line in DEFAULT_FILE.read_text().splitlines()}


def test_the_settings_are_the_stacks(compose: dict[str, Any], here: Installation) -> None:
    for name, service in compose["services"].items():
        if name == "cassandra":
            continue
        given = {key for key in service["environment"] if key.startswith("GIORNATA_")}
        assert given == set(here.variables()), name


def test_servers_find_each_other_at_the_published_ports(compose: dict[str, Any]) -> None:
    environment = compose["services"]["airflow"]["environment"]
    inner = {name: service["ports"][0].split(":")[2] for name, service in compose["services"].items()}
    for setting, name in [
        ("GIORNATA_CASSANDRA", "cassandra"),
        ("GIORNATA_METASTORE", "metastore"),
        ("GIORNATA_HIVESERVER", "thriftserver"),
        ("GIORNATA_SMTP", "mail"),
        ("GIORNATA_SERVING", "serving"),
        ("GIORNATA_AIRFLOW", "airflow"),
    ]:
        assert environment[setting].endswith(f"{name}:{inner[name]}")


def test_airflow_is_set_up_alike(compose: dict[str, Any]) -> None:
    ports = Ports(*range(1, 21))
    local = Installation(Path("/state"), ports).environment({"PATH": ""})
    contained = compose["services"]["airflow"]["environment"]
    same = {name for name in contained if name.startswith("AIRFLOW__")} - {
        "AIRFLOW__CORE__DAGS_FOLDER",
        "AIRFLOW__CORE__PLUGINS_FOLDER",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
        "AIRFLOW__API__HOST",
        "AIRFLOW__API__PORT",
        "AIRFLOW__API__BASE_URL",
    }
    assert {name: contained[name] for name in same} == {name: local[name] for name in same}


def test_each_server_is_asked_as_the_stack_asks_it(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        test = service["healthcheck"]["test"]
        if "stack.readiness" in test:
            check, _, port = test[-3:]
            assert check in CHECKS
            assert check.startswith(name)
            assert port == service["ports"][0].split(":")[2]
        assert service["healthcheck"]["retries"] > 0
        for needed, how in service.get("depends_on", {}).items():
            assert needed in compose["services"]
            assert how == {"condition": "service_healthy"}
