"""The ports file is checked, free ports are free, and a taken port is named with the process that has it."""

import os
import socket
from dataclasses import astuple
from pathlib import Path

import psutil
import pytest

from stack.errors import StackError
from stack.ports import DEFAULT_FILE, check_free, free_ports, is_taken, load_ports


def changed(folder: Path, old: str, new: str) -> Path:
    file = folder / "ports.env"
    text = DEFAULT_FILE.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


def test_the_default_file_gives_each_purpose_a_port_of_its_own() -> None:
    ports = astuple(load_ports())
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("MAIL_PORT=18025\n", "", "MAIL_PORT missing"),
        ("MAIL_PORT=", "POST_PORT=", "unknown POST_PORT"),
        ("MAIL_PORT=18025", "MAIL_PORT=smtp", "'MAIL_PORT=smtp' is not NAME=port"),
        ("MAIL_PORT=18025", "MAIL_PORT=25", "'MAIL_PORT=25' is not NAME=port"),
        ("MAIL_PORT=18025", "MAIL_PORT=18042", "CASSANDRA_PORT and MAIL_PORT are both 18042"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(StackError, match=complaint):
        load_ports(changed(tmp_path, old, new))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"nowhere\.env does not exist"):
        load_ports(tmp_path / "nowhere.env")


def test_free_ports_can_be_bound() -> None:
    chosen = astuple(free_ports())
    assert len(set(chosen)) == len(chosen)
    for port in chosen:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))


def test_a_taken_port_is_named_with_who_wants_it_and_who_has_it() -> None:
    ports = free_ports()
    wanted = {"mail": "mail", "cassandra": "cassandra"}
    check_free(ports, wanted)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", ports.mail))
        listener.listen()
        with pytest.raises(StackError) as problem:
            check_free(ports, wanted)
    message = str(problem.value)
    assert f"port {ports.mail} (MAIL_PORT), wanted by mail, is taken by process {os.getpid()}: " in message
    assert psutil.Process().cmdline()[0] in message
    assert "GIORNATA_PORTS" in message
    assert str(ports.cassandra) not in message


def test_a_listener_on_every_interface_takes_the_port_too() -> None:
    port = free_ports().mail
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", port))
        listener.listen()
        assert is_taken(port)
    assert not is_taken(port)
