"""Services start after those they need, and every listener is on the loopback interface."""

from pathlib import Path

import pytest

from stack.errors import StackError
from stack.installation import Installation
from stack.ports import Ports
from stack.readiness import CHECKS
from stack.services import services, with_needed

# In the order of the fields: cassandra 1, cassandra_storage 2, metastore 3, thriftserver 4, mail 5, …
PORTS = Ports(*range(1, 21))


@pytest.fixture
def here(tmp_path: Path) -> Installation:
    return Installation(tmp_path, PORTS)


def test_every_service_can_be_asked(here: Installation) -> None:
    assert set(services(here)) == set(CHECKS)


def test_every_port_belongs_to_one_service(here: Installation) -> None:
    owned = [port for service in services(here).values() for port in service.ports]
    assert sorted(owned) == sorted(Ports.__dataclass_fields__)


def test_a_service_brings_what_it_needs(here: Installation) -> None:
    assert with_needed(["thriftserver"], services(here)) == ["metastore", "thriftserver"]
    order = with_needed(["airflow-scheduler"], services(here))
    assert set(order) == {
        "airflow",
        "airflow-scheduler",
        "cassandra",
        "mail",
        "metastore",
        "serving",
        "thriftserver",
    }
    assert order[-1] == "airflow-scheduler"
    assert order.index("metastore") < order.index("thriftserver")
    assert order.index("cassandra") < order.index("serving")


def test_what_is_optional_starts_by_its_name_alone(here: Installation) -> None:
    assert [name for name, service in services(here).items() if service.optional] == [
        "yarn",
        "yarn-node",
        "hdfs",
        "hdfs-data",
    ]
    assert with_needed(["yarn-node"], services(here)) == ["yarn", "yarn-node"]


def test_an_unknown_service_is_refused_with_the_known_ones(here: Installation) -> None:
    with pytest.raises(StackError, match="no service 'casandra'; the services are cassandra, metastore"):
        with_needed(["casandra"], services(here))


def test_the_metastore_is_told_its_interface(here: Installation) -> None:
    command = services(here)["metastore"].command
    assert command[command.index("127.0.0.1") + 1] == "3"
