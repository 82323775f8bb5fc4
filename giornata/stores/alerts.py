"""Alerts in Cassandra: the state of each rule, its transitions, and the mails about them that are still to be sent.

One mail per transition, also when two jobs evaluate the same days at once, and no record that a mail was sent before it
was. In order:

1. `advance` updates a rule's state and stores the transition with its mail, not yet delivered, in one conditional batch
(a lightweight transaction on the last evaluated day). Of two jobs one succeeds; the other reads again. 2. `claim`
claims a stored mail for a while (LEASE, counted by Cassandra's TTL). Of two jobs one gets it. 3. The mail is handed to
the mail server. 4. `delivered` records that it was sent. If the server refused, `release` gives it back with the
reason, and the next run of the monitor sends it.

If a job dies between 3 and 4, its claim expires and the mail is sent a second time: better twice than never. Both have
the same Message-ID.

A rule whose recipients or `min_rows` change is a new rule within the same episode: it starts from the state of the one
that it replaces (`take_over`), so that nobody gets a mail again about an episode that began before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from giornata.errors import StoreError
from giornata.records.alert import Judgement, Mail, Rule, RuleState
from giornata.stores.cassandra import CASSANDRA_FAULTS

LEASE = timedelta(minutes=5)


@dataclass(frozen=True)
class RuleKey:
    """Identifies a rule's state: the whole rule (see `Rule.identity`) at a model, tag and mode."""

    model: str
    tag: str
    mode: str
    rule: str


@dataclass(frozen=True)
class AlertState:
    """A rule and its state."""

    key: RuleKey
    state: RuleState


@dataclass(frozen=True)
class AlertEvent:
    """A stored transition. `delivered` says whether its mail has been sent, `failure` why not yet."""

    key: RuleKey
    day: date
    kind: str
    value: float
    rows: int
    uuid: str
    mail: Mail
    delivered: bool
    failure: str | None


class Alerts:
    """The table `giornata.alerts`."""

    def __init__(self, session: Session):
        self._session = session
        own = "model = ? AND tag = ? AND mode = ? AND rule = ?"
        row = f"{own} AND day = ?"
        event = "kind, value, row_count, model_uuid, recipients, subject, body, identity, delivered"
        advance = f"UPDATE giornata.alerts SET judged = ?, since = ? WHERE {own} IF judged = ?"
        self._advance = session.prepare(advance)
        self._advance_with_event = session.prepare(
            f"BEGIN BATCH {advance}; "
            f"INSERT INTO giornata.alerts (model, tag, mode, rule, day, {event}) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?); APPLY BATCH"
        )
        self._leave = session.prepare(
            f"UPDATE giornata.alerts SET judged = null, since = null WHERE {own} IF judged = ?"
        )
        self._state = session.prepare(f"SELECT judged, since FROM giornata.alerts WHERE {own} LIMIT 1")
        self._all = session.prepare(
            "SELECT DISTINCT model, tag, mode, rule, judged, since FROM giornata.alerts"
        )
        self._events = session.prepare(f"SELECT day, {event}, failure FROM giornata.alerts WHERE {own}")
        self._claim = session.prepare(
            f"UPDATE giornata.alerts USING TTL {int(LEASE.total_seconds())} SET claim = ? "
            f"WHERE {row} IF claim = null AND delivered = false"
        )
        self._delivered = session.prepare(
            f"UPDATE giornata.alerts SET delivered = true, failure = null WHERE {row} IF delivered = false"
        )
        self._release = session.prepare(
            f"UPDATE giornata.alerts SET claim = null, failure = ? WHERE {row} IF claim = ?"
        )
        # A state that is about to be changed is read as the latest transaction left it.
        self._state.consistency_level = ConsistencyLevel.LOCAL_SERIAL
        self._events.consistency_level = ConsistencyLevel.LOCAL_SERIAL

    def state(self, rule: Rule) -> RuleState:
        """The state of a rule; a rule that was never evaluated is quiet. Raises StoreError."""
        found = self._rows(self._state, _own(_key(rule)))
        return _state(*found[0]) if found else RuleState()

    def take_over(self, rules: Sequence[Rule]) -> None:
        """Let each rule that was never evaluated start from the state of a rule of the same name that is not in
        `rules`.

        `rules` are all those of a model at one tag and mode. States from before rules had identities are taken over by
        name as well. Raises StoreError.
        """
        new = [rule for rule in rules if self.state(rule).judged is None]
        if not new:
            return
        known = {_key(rule) for rule in rules}
        left = [
            alert_state for alert_state in self.alert_states(new[0].model) if alert_state.key not in known
        ]
        for rule in new:
            fitting = [alert_state for alert_state in left if _replaces(rule, alert_state)]
            if not fitting:
                continue
            newest = max(fitting, key=lambda alert_state: alert_state.state.judged or date.min)
            left.remove(newest)
            judged, since = newest.state.judged, newest.state.since
            self._applied(self._advance, (judged, since, *_own(_key(rule)), None))
            self._applied(self._leave, (*_own(newest.key), judged))

    def advance(self, rule: Rule, before: RuleState, judgement: Judgement, mail: Mail | None) -> bool:
        """Move a rule from state `before` to the judgement's state, and store its transition with the `mail` about it.

        Returns False, and changes nothing, if another job has moved the rule since `before` was read. Raises
        StoreError.
        """
        own = _own(_key(rule))
        moved = (judgement.state.judged, judgement.state.since, *own, before.judged)
        transition = judgement.transition
        if transition is None or mail is None:
            return self._applied(self._advance, moved)
        seen = transition.observation
        event = (
            transition.kind,
            seen.value,
            seen.rows,
            seen.uuid,
            list(mail.to),
            mail.subject,
            mail.body,
            mail.identity,
        )
        return self._applied(self._advance_with_event, (*moved, *own, seen.day, *event, False))

    def alert_states(self, model: str | None = None) -> list[AlertState]:
        """Every rule that was ever evaluated, of one model or of all, in order. Raises StoreError."""
        found = (AlertState(RuleKey(*row[:4]), _state(*row[4:])) for row in self._rows(self._all, ()))
        wanted = [alert_state for alert_state in found if model is None or alert_state.key.model == model]
        return sorted(wanted, key=lambda alert_state: _own(alert_state.key))

    def events(self, key: RuleKey) -> list[AlertEvent]:
        """The transitions of a rule, newest first. Raises StoreError."""
        rows = [row for row in self._rows(self._events, _own(key)) if row.day is not None]
        return [
            AlertEvent(
                key=key,
                day=row.day.date(),
                kind=row.kind,
                value=row.value,
                rows=row.row_count,
                uuid=row.model_uuid,
                mail=Mail(tuple(row.recipients), row.subject, row.body, row.identity),
                delivered=row.delivered,
                failure=row.failure,
            )
            for row in rows
        ]

    def undelivered(self, model: str) -> list[AlertEvent]:
        """The transitions of a model whose mails have not been sent, oldest first per rule. Raises StoreError."""
        keys = [alert_state.key for alert_state in self.alert_states(model)]
        return [event for key in keys for event in reversed(self.events(key)) if not event.delivered]

    def claim(self, event: AlertEvent, claimant: str) -> bool:
        """Claim a mail for sending, for LEASE; False if it was sent or another has claimed it. Raises StoreError."""
        return self._applied(self._claim, (claimant, *_own(event.key), event.day))

    def delivered(self, event: AlertEvent) -> None:
        """Record that the mail server has accepted the mail. Raises StoreError."""
        self._applied(self._delivered, (*_own(event.key), event.day))

    def release(self, event: AlertEvent, claimant: str, failure: str) -> None:
        """Release a mail that could not be delivered, with the reason. Raises StoreError."""
        self._applied(self._release, (failure, *_own(event.key), event.day, claimant))

    def _applied(self, statement: PreparedStatement, values: Sequence[object]) -> bool:
        return bool(self._rows(statement, values)[0].applied)

    def _rows(self, statement: PreparedStatement, values: Sequence[object]) -> list[Any]:
        try:
            return list(self._session.execute(statement, values))
        except CASSANDRA_FAULTS as fault:
            raise StoreError(
                f"Cassandra does not answer for alerts ({type(fault).__name__}: {fault}). "
                "Is the stack up? Start it with `make up`."
            ) from fault


def _key(rule: Rule) -> RuleKey:
    return RuleKey(rule.model, rule.tag, rule.mode, rule.identity)


def _replaces(rule: Rule, alert_state: AlertState) -> bool:
    """Whether a rule has the same condition as another one that has a state."""
    key = alert_state.key
    named = key.rule == rule.name or key.rule.startswith(f"{rule.name}, ")
    return (
        named
        and (key.model, key.tag, key.mode) == (rule.model, rule.tag, rule.mode)
        and alert_state.state.judged is not None
    )


def _own(key: RuleKey) -> tuple[str, str, str, str]:
    return key.model, key.tag, key.mode, key.rule


def _state(judged: Any, since: Any) -> RuleState:
    return RuleState(judged and judged.date(), since and since.date())
