"""The mail sink stores what smtplib sends, and ends when it is told to."""

import email
import email.policy
import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from stack import readiness
from stack.installation import REPOSITORY
from stack.ports import free_ports


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    port = free_ports().mail
    folder = tmp_path / "mails"
    process = subprocess.Popen(
        [sys.executable, "-m", "stack.mail_sink", "127.0.0.1", str(port), str(folder)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait = retry(
        retry=retry_if_exception_type(readiness.NotReadyError),
        stop=stop_after_delay(30),
        wait=wait_fixed(0.1),
    )
    wait(readiness.mail)("127.0.0.1", port)
    yield process, port, folder
    process.kill()
    process.communicate()


def test_stores_a_mail_as_it_was_sent(sink: tuple[subprocess.Popen[str], int, Path]) -> None:
    _, port, folder = sink
    mail = EmailMessage()
    mail["From"] = "giornata@example.com"
    mail["To"] = "Ada <ada@example.com>"
    mail["Subject"] = "RMSE über 15 Minuten"
    mail.set_content("rmse 15.2 > 15.0\n.\nfür flights/trip_minutes\n")
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as connection:
        connection.send_message(mail, to_addrs=["ada@example.com", "hidden@example.com"])

    (file,) = folder.iterdir()
    assert file.suffix == ".eml"
    stored = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert stored["Subject"] == "RMSE über 15 Minuten"
    assert stored["To"] == "Ada <ada@example.com>"
    assert stored["X-Envelope-From"] == "giornata@example.com"
    assert stored["X-Envelope-To"] == "ada@example.com, hidden@example.com"
    assert stored.get_content().splitlines() == ["rmse 15.2 > 15.0", ".", "für flights/trip_minutes"]


def test_names_sort_by_arrival(sink: tuple[subprocess.Popen[str], int, Path]) -> None:
    _, port, folder = sink
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as connection:
        for number in range(5):
            connection.sendmail("a@example.com", ["b@example.com"], f"Subject: {number}\r\n\r\n")
    stored = [email.message_from_bytes(file.read_bytes())["Subject"] for file in sorted(folder.iterdir())]
    assert stored == ["0", "1", "2", "3", "4"]


def test_a_mail_that_cannot_be_stored_is_refused(sink: tuple[subprocess.Popen[str], int, Path]) -> None:
    _, port, folder = sink
    folder.rmdir()
    folder.write_text("a file where the folder was")
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as connection:
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            connection.sendmail("a@example.com", ["b@example.com"], "Subject: lost\r\n\r\n")
        assert refusal.value.smtp_code == 452
        assert connection.noop()[0] == 250


def test_ends_when_told_to(sink: tuple[subprocess.Popen[str], int, Path]) -> None:
    process, _, _ = sink
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=10) == 0
