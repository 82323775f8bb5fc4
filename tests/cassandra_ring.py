"""Three Cassandra nodes on loopback addresses, with logins, TLS and three replicas, as companies run them."""

import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml
from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import SimpleStatement, Statement

from giornata.errors import StoreError
from giornata.settings import Settings
from giornata.stores import cassandra
from stack.installation import Installation
from stack.ports import Ports
from stack.render import render
from stack.services import services
from tests.certificates import ADDRESSES, STORE_PASSWORD, make_certificates

TOKENS = ("-9223372036854775808", "-3074457345618258603", "3074457345618258602")
USER, PASSWORD = "giornata", "a password that no log shows"
_SECONDS = 180.0


class Ring:
    """The nodes 0, 1 and 2, which listen on the same ports of three addresses."""

    def __init__(self, folder: Path, ports: Ports):
        self._folder = folder
        self._ports = ports
        self._nodes: dict[int, subprocess.Popen[bytes]] = {}
        make_certificates(folder)
        (folder / "password").write_text(f"{PASSWORD}\n")

    def settings(self, user: str = USER, **more: str) -> Settings:
        """The settings of a client of the ring."""
        points = ",".join(f"{address}:{self._ports.cassandra}" for address in ADDRESSES)
        return Settings(
            self._folder,
            {
                "GIORNATA_CASSANDRA": points,
                "GIORNATA_CASSANDRA_DATACENTER": "datacenter1",
                "GIORNATA_CASSANDRA_USER": user,
                "GIORNATA_CASSANDRA_PASSWORD_FILE": str(self._folder / "password"),
                "GIORNATA_CASSANDRA_AUTHORITY": str(self._folder / "authority.pem"),
                "GIORNATA_CASSANDRA_CERTIFICATE": str(self._folder / "client.pem"),
                "GIORNATA_CASSANDRA_REPLICATION": "datacenter1:3",
                **more,
            },
        )

    def start(self) -> None:
        """Start all nodes, and make a user who is no superuser."""
        for number in range(len(ADDRESSES)):
            self.start_node(number)
        super_user = self.settings(
            "cassandra", GIORNATA_CASSANDRA_PASSWORD_FILE="", GIORNATA_CASSANDRA_PASSWORD="cassandra"
        )
        wait(lambda: self.up(super_user) == len(ADDRESSES))
        with cassandra.session(super_user) as session:
            # The logins, too, outlive a node. Until the nodes have found one another and reads have brought the
            # superuser to the new replicas, they refuse one statement or another.
            for statement in (
                "ALTER KEYSPACE system_auth WITH replication = "
                "{'class': 'NetworkTopologyStrategy', 'datacenter1': 3}",
                f"CREATE ROLE IF NOT EXISTS {USER} WITH PASSWORD = '{PASSWORD}' AND LOGIN = true",
                f"GRANT ALL PERMISSIONS ON ALL KEYSPACES TO {USER}",
            ):
                wait(partial(_done, session, statement))
            # Each node in turn, twice, asks all of them.
            asked = SimpleStatement(
                "SELECT role FROM system_auth.roles", consistency_level=ConsistencyLevel.ALL
            )
            wait(lambda: all(_done(session, asked) for _ in range(2 * len(ADDRESSES))))
        wait(lambda: self.up(self.settings()) == len(ADDRESSES))

    def start_node(self, number: int) -> None:
        """Start one node, with the data that it had."""
        home = self._folder / f"node{number}"
        installation = Installation(home, self._ports)
        known = services(installation)
        if not home.exists():
            render(installation, known.values())
            self._configure(installation.configuration / "cassandra.yaml", number)
        with (self._folder / f"node{number}.log").open("ab") as log:
            self._nodes[number] = subprocess.Popen(
                known["cassandra"].command, cwd=home, stdout=log, stderr=subprocess.STDOUT
            )

    def _configure(self, file: Path, number: int) -> None:
        written = yaml.safe_load(file.read_text())
        stores = {"keystore_password": STORE_PASSWORD, "truststore_password": STORE_PASSWORD}
        written |= {
            "listen_address": ADDRESSES[number],
            "rpc_address": ADDRESSES[number],
            "initial_token": TOKENS[number],
            "authenticator": "PasswordAuthenticator",
            "authorizer": "CassandraAuthorizer",
            "client_encryption_options": {
                "enabled": True,
                "optional": False,
                "require_client_auth": True,
                "keystore": str(self._folder / "node.p12"),
                "truststore": str(self._folder / "trusted.p12"),
                **stores,
            },
        }
        seeds = ",".join(f"{address}:{self._ports.cassandra_storage}" for address in ADDRESSES)
        written["seed_provider"][0]["parameters"][0]["seeds"] = seeds
        file.write_text(yaml.safe_dump(written))

    def up(self, settings: Settings) -> int:
        """The number of nodes that a new session has connections to."""
        try:
            with cassandra.session(settings) as session:
                return len([host for host in session.cluster.metadata.all_hosts() if host.is_up])
        except StoreError:
            return 0

    def kill(self, number: int) -> None:
        """End a node at once, as a machine that is gone does."""
        node = self._nodes.pop(number)
        node.send_signal(signal.SIGKILL)
        node.wait(20)

    def stop(self) -> None:
        """End all nodes."""
        for number in list(self._nodes):
            self.kill(number)


def _done(session: Session, statement: Statement | str) -> bool:
    try:
        session.execute(statement, timeout=30.0)
    except cassandra.CASSANDRA_FAULTS:
        return False
    return True


def wait(ready: Callable[[], bool]) -> None:
    """Return when `ready` is true."""
    ends = time.monotonic() + _SECONDS
    while not ready():
        assert time.monotonic() < ends
        time.sleep(0.5)


def hosts_up(session: Session) -> int:
    """The number of nodes that an open session considers up."""
    return len([host for host in session.cluster.metadata.all_hosts() if host.is_up])
