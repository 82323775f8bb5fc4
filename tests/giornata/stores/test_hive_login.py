"""A SQL endpoint that wants TLS and a password: the Spark Thrift Server, set up as a company's HiveServer2 is."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores import hive
from stack.control import Stack
from stack.service import SPARK_JARS
from tests.cassandra_ring import wait
from tests.certificates import STORE_PASSWORD, make_certificates

pytestmark = [pytest.mark.stack, pytest.mark.processes, pytest.mark.timeout(300)]

PASSWORD = "a password that no log shows"
AUTHENTICATION = """\
import javax.security.sasl.AuthenticationException;
import org.apache.hive.service.auth.PasswdAuthenticationProvider;

public class OneUser implements PasswdAuthenticationProvider {
    public void Authenticate(String user, String password) throws AuthenticationException {
        if (!user.equals("anna") || !password.equals("%s")) {
            throw new AuthenticationException("nobody knows " + user);
        }
    }
}
"""


@pytest.fixture
def settings(start_stack: Callable[..., Stack], tmp_path: Path) -> Iterator[Settings]:
    stack = start_stack(["metastore"])
    here = stack.installation
    make_certificates(tmp_path)
    (tmp_path / "OneUser.java").write_text(AUTHENTICATION % PASSWORD)
    (tmp_path / "password").write_text(PASSWORD)
    compiler = ["javac", "-cp", f"{SPARK_JARS}/*", "-d", str(tmp_path), str(tmp_path / "OneUser.java")]
    subprocess.run(compiler, check=True, capture_output=True, timeout=60)
    wanted = {
        "hive.server2.authentication": "CUSTOM",
        "hive.server2.custom.authentication.class": "OneUser",
        "hive.server2.use.SSL": "true",
        "hive.server2.keystore.path": str(tmp_path / "node.p12"),
        "hive.server2.keystore.password": STORE_PASSWORD,
    }
    configuration = here.configuration / "hive-site.xml"
    properties = "".join(
        f"<property><name>{name}</name><value>{value}</value></property>\n" for name, value in wanted.items()
    )
    configuration.write_text(
        configuration.read_text().replace("</configuration>", f"{properties}</configuration>")
    )
    submit, *options = stack.services["thriftserver"].command
    command = [submit, "--driver-class-path", str(tmp_path), *options]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            command, env=here.environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    found = Settings(
        tmp_path,
        {
            **here.variables(),
            "GIORNATA_HIVESERVER_USER": "anna",
            "GIORNATA_HIVESERVER_PASSWORD_FILE": str(tmp_path / "password"),
            "GIORNATA_HIVESERVER_AUTHORITY": str(tmp_path / "authority.pem"),
        },
    )
    try:
        wait(lambda: server.poll() is not None or _answers(found))
        assert server.poll() is None, (tmp_path / "log").read_text()[-3000:]
        yield found
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(20)
        shutil.rmtree(tmp_path)


def _answers(settings: Settings) -> bool:
    try:
        return hive.query(settings, "SELECT 1 AS one") == [{"one": 1}]
    except StoreError:
        return False


def changed(settings: Settings, **variables: str) -> Settings:
    return Settings(settings.home, {**settings.variables, **variables})


def test_who_knows_the_password_is_answered_and_nobody_else(settings: Settings, tmp_path: Path) -> None:
    assert hive.query(settings, "SELECT current_user() AS who") == [{"who": "anna"}]
    other = {"GIORNATA_HIVESERVER_PASSWORD_FILE": "", "GIORNATA_HIVESERVER_PASSWORD": "guess"}
    with pytest.raises(StoreError, match="does not answer, or refuses the login") as refused:
        hive.query(changed(settings, **other), "SELECT 1")
    assert PASSWORD not in str(refused.value)
    strange = tmp_path / "strange"
    strange.mkdir()
    make_certificates(strange)
    with pytest.raises(StoreError, match="certificate verify failed"):
        hive.query(
            changed(settings, GIORNATA_HIVESERVER_AUTHORITY=str(strange / "authority.pem")), "SELECT 1"
        )
