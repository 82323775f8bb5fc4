"""Plain-text mail by SMTP: alert messages, and their delivery with limited time and retries."""

import smtplib
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from giornata.documents.base import check_mail
from giornata.documents.model import SERVED
from giornata.errors import GiornataError, SettingsError
from giornata.monitoring.observations import WITHOUT_LABELS
from giornata.records.alert import Mail, Observation, Rule, Transition
from giornata.settings import Settings

TIMEOUT = 10.0
ATTEMPTS = 3


@dataclass(frozen=True)
class MailServer:
    """An SMTP server at `address`, "host:port", and how it is used.

    `encryption` is `none`, `starttls`, or `tls` from the beginning of a connection; `authority` a PEM file of the
    authority that signed its certificate (None: those that this machine trusts).
    """

    address: str
    encryption: str = "none"
    user: str | None = None
    password: str = field(default="", repr=False)
    authority: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> "MailServer":
        """The server that the settings describe. Raises SettingsError."""
        user = settings.smtp_user
        password = settings.smtp_password if user else ""
        return cls(settings.smtp, settings.smtp_encryption, user, password, settings.smtp_authority)

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit():
            raise SettingsError(
                f'the mail server {self.address!r} is not of the form "host:port"; mend GIORNATA_SMTP.'
            )
        if self.user and self.encryption == "none":
            raise SettingsError(
                "a login at the mail server would show the password to the network: set GIORNATA_SMTP_ENCRYPTION to "
                "starttls or tls"
            )

    @contextmanager
    def connected(self) -> Iterator[smtplib.SMTP]:
        """A connection, encrypted and logged in as asked for. Raises OSError and SMTPException."""
        host, _, port = self.address.rpartition(":")
        context = ssl.create_default_context(cafile=self.authority)
        if self.encryption == "tls":
            opened: smtplib.SMTP = smtplib.SMTP_SSL(host, int(port), timeout=TIMEOUT, context=context)
        else:
            opened = smtplib.SMTP(host, int(port), timeout=TIMEOUT)
        with opened as smtp:
            if self.encryption == "starttls":
                smtp.starttls(context=context)
            if self.user:
                smtp.login(self.user, self.password)
            yield smtp


class MailError(GiornataError):
    """A mail could not be delivered; the message says where, to whom and why."""


def alert_mail(transition: Transition, console: str) -> Mail:
    """The mail about a transition; `console` is the address of the console's first page, ending in `/`."""
    rule, seen = transition.rule, transition.observation
    project, name = rule.model.split("/")
    where = f"{rule.tag}, {rule.mode}, {seen.day}"
    value = _apart(seen.value, rule.threshold)
    if transition.kind == "fired":
        subject = (
            f"{rule.model}: {rule.metric} {value} is {rule.bound} {rule.threshold:.12g} over {rule.window}"
        )
        told = "This mail is sent once; another follows when the metric is back within its bound."
    else:
        subject = (
            f"recovered: {rule.model}: {rule.metric} {value} "
            f"is no longer {rule.bound} {rule.threshold:.12g} over {rule.window}"
        )
        told = f"The alert of {transition.since} is over."
    body = f"""\
{subject} ({where}).
{told}

model       {rule.model}
version     {seen.uuid}
tag         {rule.tag}
mode        {rule.mode}
part        {seen.part}
metric      {rule.metric}
value       {seen.value:.12g}
threshold   {rule.bound} {rule.threshold:.12g}
window      {rule.window}, ending with {seen.day} (UTC)
rows        {seen.rows} {"answers" if rule.metric in WITHOUT_LABELS else "labelled predictions"}
since       {transition.since}

Charts, versions and earlier alerts of the tag:
  {console}models/{project}/{name}/tags/{rule.tag}
{_by_part(rule, seen)}
"""
    identity = f"{rule.model} {rule.tag} {rule.mode} {rule.identity} {seen.day} {transition.kind}"
    return Mail(rule.mail, f"[Giornata] {subject} ({where})", body, str(uuid5(NAMESPACE_URL, identity)))


def _by_part(rule: Rule, seen: Observation) -> str:
    """Where to look in detail: the metric by part of the model, or by feature."""
    project, name = rule.model.split("/")
    where = f"model_uuid = '{seen.uuid}'\n    AND tag = '{rule.tag}'"
    if rule.metric in SERVED:
        return f"""\
By feature, in SQL:
  SELECT feature, row_count, equal_count, different_count, missing_online_count, missing_offline_count,
    no_row_count, too_old_count, before_history_count, published_later_count FROM {project}.feature_consistency
  WHERE day = '{seen.day}' AND model_name = '{name}' AND {where}
  ORDER BY equal_count / row_count"""
    return f"""\
By part, in SQL:
  SELECT part, value, row_count FROM {project}.model_metrics
  WHERE day = '{seen.day}' AND model = '{rule.model}' AND {where} AND mode = '{rule.mode}'
    AND metric = '{rule.metric}' AND time_window = '{rule.window}'
  ORDER BY value DESC"""


def _apart(value: float, threshold: float) -> str:
    """`value` in four digits, or more if needed to look different from the threshold."""
    shown = (f"{value:.{digits}g}" for digits in range(4, 18))
    return next((text for text in shown if (float(text) == threshold) == (value == threshold)), f"{value!r}")


def send(server: MailServer, sender: str, mail: Mail) -> dict[str, str]:
    """Send `mail`. Returns the recipients that were refused or invalid, with the reason.

    Retries a few times after failures that may pass: no connection, a timeout, a temporary (4xx) answer. Raises
    MailError if no recipient was accepted, and for any other failure to send it.
    """
    odd = _odd(mail.to)
    to = [address for address in mail.to if address not in odd]
    if not to:
        raise _failure(mail, "; ".join(odd.values()) or "it has no recipients")
    tries = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(multiplier=0.2, max=5),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )
    try:
        return odd | tries(_deliver, server, _message(sender, mail, to), to)
    except (OSError, smtplib.SMTPException) as fault:
        raise _failure(mail, f"the mail server {server.address} {_reason(fault)}") from fault
    except Exception as fault:
        raise _failure(mail, f"it is no mail that can be sent ({type(fault).__name__}: {fault})") from fault


def _failure(mail: Mail, reason: str) -> MailError:
    return MailError(f"the mail {mail.subject!r} to {', '.join(mail.to)} could not be delivered: {reason}")


def _odd(recipients: Iterable[str]) -> dict[str, str]:
    """The recipients that are not valid addresses, with the reason: a server would misread their parts."""
    odd = {}
    for recipient in recipients:
        try:
            check_mail(recipient)
        except ValueError as error:
            odd[recipient] = str(error)
    return odd


def _message(sender: str, mail: Mail, to: Iterable[str]) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{mail.identity}@giornata>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body)
    return message


def _deliver(server: MailServer, message: EmailMessage, recipients: Sequence[str]) -> dict[str, str]:
    with server.connected() as smtp:
        refused = smtp.send_message(message, to_addrs=list(recipients))
    return {address: f"{code} {_text(reason)}" for address, (code, reason) in refused.items()}


def _may_pass(fault: BaseException) -> bool:
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        return any(400 <= code < 500 for code, _ in fault.recipients.values())
    if isinstance(fault, smtplib.SMTPResponseException):
        return 400 <= fault.smtp_code < 500
    return isinstance(fault, OSError) and not isinstance(fault, ssl.SSLCertVerificationError)


def _reason(fault: OSError) -> str:
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        answers = (
            f"{address}: {code} {_text(reason)}" for address, (code, reason) in fault.recipients.items()
        )
        return f"refuses the addresses ({'; '.join(answers)})"
    if isinstance(fault, smtplib.SMTPResponseException):
        return f"answers {fault.smtp_code} {_text(fault.smtp_error)}"
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted ({fault.verify_message})"
    if isinstance(fault, smtplib.SMTPNotSupportedError):
        return f"does not do what is asked of it: {fault}"
    return f"does not answer ({fault})"


def _text(reason: bytes | str) -> str:
    return reason.decode(errors="replace") if isinstance(reason, bytes) else reason
