"""Mail servers that want encryption and a login, as those of companies do: real ones, with certificates."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from giornata.errors import SettingsError
from giornata.monitoring.mail import MailError, MailServer, send
from giornata.records.alert import Mail
from giornata.settings import Settings
from tests.certificates import make_certificates
from tests.giornata.monitoring.conftest import Sink

MAIL = Mail(("b@x.org",), "Subject", "Body", "id")
USER, PASSWORD = "giornata", "a password that no log shows"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture
def serve(certificates: Path, free_port: int) -> Iterator[Callable[[str], Sink]]:
    """Starts a server that takes mails of one user, encrypted in one of two ways."""
    started: list[Controller] = []

    def start(encryption: str) -> Sink:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificates / "node.crt", certificates / "node.key")
        options: dict[str, Any] = {"tls_context": context, "require_starttls": True}
        if encryption == "tls":
            options = {"ssl_context": context, "auth_require_tls": False}
        sink = Sink()
        controller = Controller(
            sink, hostname="127.0.0.1", port=free_port, authenticator=knows, auth_required=True, **options
        )
        controller.start()
        started.append(controller)
        sink.address = f"127.0.0.1:{free_port}"
        return sink

    yield start
    for controller in started:
        controller.stop()


def knows(server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
    return AuthResult(
        success=(login.login, login.password) == (USER.encode(), PASSWORD.encode()), handled=False
    )


# The server does not know of an encryption that begins before it.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_mail_goes_out_encrypted_by_who_may_send_it(
    serve: Callable[[str], Sink], certificates: Path, encryption: str, tmp_path: Path
) -> None:
    sink = serve(encryption)
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    settings = Settings(
        tmp_path,
        {
            "GIORNATA_SMTP": sink.address,
            "GIORNATA_SMTP_ENCRYPTION": encryption,
            "GIORNATA_SMTP_USER": USER,
            "GIORNATA_SMTP_PASSWORD_FILE": str(tmp_path / "password"),
            "GIORNATA_SMTP_AUTHORITY": str(certificates / "authority.pem"),
        },
    )
    server = MailServer.of(settings)
    assert PASSWORD not in repr(server)
    assert send(server, "giornata@x.org", MAIL) == {}
    assert [mail["Subject"] for mail in sink.mails] == ["Subject"]


def test_a_wrong_password_is_told_and_not_tried_again(
    serve: Callable[[str], Sink], certificates: Path
) -> None:
    sink = serve("starttls")
    server = MailServer(sink.address, "starttls", USER, "guess", certificates / "authority.pem")
    with pytest.raises(MailError, match="answers 535"):
        send(server, "giornata@x.org", MAIL)
    assert sink.mails == []


def test_a_certificate_that_nobody_here_trusts_is_refused(serve: Callable[[str], Sink]) -> None:
    sink = serve("starttls")
    with pytest.raises(MailError, match="has a certificate that is not trusted"):
        send(MailServer(sink.address, "starttls", USER, PASSWORD), "giornata@x.org", MAIL)
    assert sink.mails == []


def test_a_login_that_the_network_could_read_is_refused() -> None:
    with pytest.raises(SettingsError, match="set GIORNATA_SMTP_ENCRYPTION to starttls or tls"):
        MailServer("127.0.0.1:25", user=USER, password=PASSWORD)


def test_a_server_without_encryption_is_told(sink: Sink) -> None:
    with pytest.raises(MailError, match="does not do what is asked of it"):
        send(MailServer(sink.address, "starttls"), "giornata@x.org", MAIL)
