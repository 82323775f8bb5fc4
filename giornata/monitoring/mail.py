"""Plain-text mail by SMTP: alert messages, and their delivery with limited time and retries."""

import smtplib
from collections.abc import Iterable, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from uuid import NAMESPACE_URL, uuid5

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from giornata.documents.base import check_mail
from giornata.documents.model import SERVED
from giornata.errors import GiornataError, SettingsError
from giornata.monitoring.observations import WITHOUT_LABELS
from giornata.records.alert import Mail, Observation, Rule, Transition

TIMEOUT = 10.0
ATTEMPTS = 3


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


def send(server: str, sender: str, mail: Mail) -> dict[str, str]:
    """Send `mail` by the SMTP server at "host:port". Returns the recipients that were refused or invalid, with the
    reason.

    Retries a few times after failures that may pass: no connection, a timeout, a temporary (4xx) answer. Raises
    MailError if no recipient was accepted, and for any other failure to send it.
    """
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        raise SettingsError(f'the mail server {server!r} is not of the form "host:port"; mend GIORNATA_SMTP.')
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
        return odd | tries(_deliver, host, int(port), _message(sender, mail, to), to)
    except (OSError, smtplib.SMTPException) as fault:
        raise _failure(mail, f"the mail server {server} {_reason(fault)}") from fault
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


def _deliver(host: str, port: int, message: EmailMessage, recipients: Sequence[str]) -> dict[str, str]:
    with smtplib.SMTP(host, port, timeout=TIMEOUT) as smtp:
        refused = smtp.send_message(message, to_addrs=list(recipients))
    return {address: f"{code} {_text(reason)}" for address, (code, reason) in refused.items()}


def _may_pass(fault: BaseException) -> bool:
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        return any(400 <= code < 500 for code, _ in fault.recipients.values())
    if isinstance(fault, smtplib.SMTPResponseException):
        return 400 <= fault.smtp_code < 500
    return isinstance(fault, OSError)


def _reason(fault: OSError) -> str:
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        answers = (
            f"{address}: {code} {_text(reason)}" for address, (code, reason) in fault.recipients.items()
        )
        return f"refuses the addresses ({'; '.join(answers)})"
    if isinstance(fault, smtplib.SMTPResponseException):
        return f"answers {fault.smtp_code} {_text(fault.smtp_error)}"
    return f"does not answer ({fault})"


def _text(reason: bytes | str) -> str:
    return reason.decode(errors="replace") if isinstance(reason, bytes) else reason
