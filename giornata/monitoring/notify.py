"""Evaluates a rule against its stored state, and sends the mails of stored transitions.

giornata.stores.alerts explains how two jobs at once still send a single mail.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from giornata.monitoring.alerts import judge
from giornata.monitoring.mail import MailError, MailServer, alert_mail, send
from giornata.records.alert import Observation, Rule, Transition
from giornata.stores.alerts import AlertEvent, Alerts


def judge_rule(alerts: Alerts, rule: Rule, seen: Sequence[Observation], console: str) -> list[Transition]:
    """Evaluate a rule on the days that no job has evaluated yet; store its state and its transitions with their mails.

    Returns the transitions that this call stored. `console` is the address of the console, for the mails. Raises
    StoreError.
    """
    stored: list[Transition] = []
    state = alerts.state(rule)
    while judgements := judge(rule, seen, state):
        for judgement in judgements:
            transition = judgement.transition
            mail = alert_mail(transition, console) if transition else None
            if not alerts.advance(rule, state, judgement, mail):
                break  # another job has judged this day: go on from where it left the rule
            state = judgement.state
            if transition:
                stored.append(transition)
        else:
            return stored
        state = alerts.state(rule)
    return stored


@dataclass(frozen=True)
class Delivery:
    """The mails that this call sent, and in words what was not sent.

    `failures` are about mails that nobody got; they stay stored. `refused` are recipients that the server did not
    accept, of mails that others got.
    """

    sent: tuple[AlertEvent, ...]
    failures: tuple[str, ...]
    refused: tuple[str, ...]


def deliver(alerts: Alerts, models: Iterable[str], server: MailServer, sender: str) -> Delivery:
    """Send the stored mails of these models that have not been sent, each claimed by one caller only.

    A mail that the server does not accept stays stored for a later call. Raises StoreError.
    """
    claimant = uuid.uuid4().hex
    sent: list[AlertEvent] = []
    failures: list[str] = []
    turned_away: list[str] = []
    for event in (event for model in models for event in alerts.undelivered(model)):
        if not alerts.claim(event, claimant):
            continue  # another job is sending it
        try:
            refused = send(server, sender, event.mail)
        except MailError as error:
            alerts.release(event, claimant, str(error))
            failures.append(str(error))
            continue
        alerts.delivered(event)
        sent.append(event)
        turned_away += [
            f"the mail {event.mail.subject!r} was refused for {address}: {reason}"
            for address, reason in refused.items()
        ]
    return Delivery(tuple(sent), tuple(failures), tuple(turned_away))
