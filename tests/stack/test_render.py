"""The rendered state folder: every server's configuration with this installation's folders and ports."""

import configparser
import json
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from giornata.settings import load_settings
from stack.installation import Installation
from stack.ports import Ports
from stack.render import render
from stack.service import Service
from stack.services import services

# In the order of the fields: cassandra 1, cassandra_storage 2, metastore 3, thriftserver 4, mail 5, …
PORTS = Ports(*range(1, 21))


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    # A space and an ampersand, as folders of people have them.
    home = tmp_path / "R & D"
    here = Installation(home, PORTS)
    render(here, list(services(here).values()))
    return home


def test_cassandra(rendered: Path) -> None:
    configuration = yaml.safe_load((rendered / "conf/cassandra.yaml").read_text())
    assert configuration["native_transport_port"] == 1
    assert configuration["storage_port"] == 2
    assert configuration["seed_provider"][0]["parameters"] == [{"seeds": "127.0.0.1:2"}]
    assert configuration["data_file_directories"] == [f"{rendered}/cassandra/data"]
    assert {configuration["listen_address"], configuration["rpc_address"]} == {"127.0.0.1"}


def test_hive(rendered: Path) -> None:
    properties = {
        item.findtext("name"): item.findtext("value")
        for item in ET.parse(rendered / "conf/hive-site.xml").getroot()
    }
    assert properties["hive.metastore.uris"] == "thrift://127.0.0.1:3"
    assert properties["hive.server2.thrift.port"] == "4"
    assert properties["hive.server2.thrift.bind.host"] == "127.0.0.1"
    assert properties["hive.metastore.warehouse.dir"] == f"{rendered}/warehouse"
    assert f"databaseName={rendered}/metastore/db;" in str(properties["javax.jdo.option.ConnectionURL"])


def test_yarn_listens_on_the_loopback_interface_alone(rendered: Path) -> None:
    properties = {
        item.findtext("name"): str(item.findtext("value"))
        for item in ET.parse(rendered / "conf/hadoop/yarn-site.xml").getroot()
    }
    addresses = {value for value in properties.values() if ":" in value}
    assert addresses == {f"127.0.0.1:{port}" for port in range(8, 16)}
    assert properties["yarn.resourcemanager.bind-host"] == "127.0.0.1"
    assert properties["yarn.nodemanager.local-dirs"] == f"{rendered}/yarn/local"


def test_supervisor_has_a_program_for_each_service(rendered: Path) -> None:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(rendered / "supervisord.conf")
    here = Installation(rendered, PORTS)
    for name, service in services(here).items():
        program = parser[f"program:{name}"]
        assert shlex.split(program["command"].replace("%%", "%")) == service.command
        assert Path(program["directory"]).is_dir()
        assert program["stdout_logfile"] == f"{rendered}/log/{name}.log"


def test_supervisor_reads_a_percent_sign_as_itself(tmp_path: Path) -> None:
    here = Installation(tmp_path / "100%", PORTS)
    render(here, [Service("mail", ["/bin/echo", "50%"], ports=("mail",))])
    text = (here.home / "supervisord.conf").read_text()
    assert "command=/bin/echo 50%%\n" in text
    assert f"stdout_logfile={tmp_path}/100%%/log/mail.log\n" in text


def test_the_settings_file_describes_the_installation(rendered: Path) -> None:
    settings = load_settings({"GIORNATA_HOME": str(rendered)})
    assert settings.variables.items() >= Installation(rendered, PORTS).variables().items()
    assert (settings.airflow_user, settings.airflow_password) == ("admin", "admin")


def test_the_logins_are_readable_by_their_owner_alone(rendered: Path) -> None:
    passwords = rendered / "airflow/passwords.json"
    assert set(json.loads(passwords.read_text())) == {"admin", "viewer"}
    assert passwords.stat().st_mode & 0o777 == 0o600


def test_rendering_again_changes_nothing(rendered: Path) -> None:
    before = {file: file.read_bytes() for file in rendered.rglob("*") if file.is_file()}
    here = Installation(rendered, PORTS)
    render(here, list(services(here).values()))
    assert {file: file.read_bytes() for file in rendered.rglob("*") if file.is_file()} == before
