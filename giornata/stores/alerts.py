"""Alerts in Cassandra: how each rule stands, the transitions there were, and which of their mails are still
to go.

One mail per transition, also when two jobs judge the same days at once, and no claim that a mail went out
before it did. The order of things:

1. `advance` moves a rule's state on and stores the transition with its mail, not yet delivered, in one
   conditional batch (a lightweight transaction on the last judged day). Of two jobs one succeeds; the other
   reads again.
2. `claim` takes a stored mail for a while (LEASE, counted by Cassandra's TTL). Of two jobs one gets it.
3. The mail is handed to the mail server.
4. `delivered` records that it went. If the server refused, `release` gives it back with the reason, and the
   next run of the monitor sends it.

A job that dies between 3 and 4 leaves its claim to run out, and the mail goes a second time: once too often
rather than never. Both have the same Message-ID.

A rule whose recipients or number of rows are changed is another rule, but not another episode: it goes on from where
the one that it replaces was left (`take_over`), so that nobody is told again of what began before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from giornata.errors import StoreError
from giornata.records.alert import Judgement, Mail, Rule, State
from giornata.stores.cassandra import CASSANDRA_FAULTS

LEASE = timedelta(minutes=5)


@dataclass(frozen=True)
class RuleKey:
    """Whose state it is: all that a rule says (see `Rule.identity`) at a model, tag and mode."""

    model: str
    tag: str
    mode: str
    rule: str


@dataclass(frozen=True)
class AlertState:
    """A rule and how it stands."""

    key: RuleKey
    state: State


@dataclass(frozen=True)
class AlertEvent:
    """A stored transition. `delivered` says whether its mail has gone out, `failure` why it has not yet."""

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

    def state(self, rule: Rule) -> State:
        """How a rule stands; a rule that was never judged is quiet. Raises StoreError."""
        found = self._rows(self._state, _own(_key(rule)))
        return _state(*found[0]) if found else State()

    def take_over(self, rules: Sequence[Rule]) -> None:
        """Let each rule that was never judged go on from where one of its name was left that is none of `rules`.

        `rules` are all those of a model at one tag and mode. Rules once were known by their names alone; those are
        taken over alike. Raises StoreError.
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

    def advance(self, rule: Rule, before: State, judgement: Judgement, mail: Mail | None) -> bool:
        """Move a rule from `before` to the judgement's state and store its transition with the `mail` that
        tells of it.

        False, and nothing changed, when another job has moved the rule since `before` was read. Raises
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
        """Every rule that was ever judged, of one model or of all, in order. Raises StoreError."""
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
        """The transitions of a model whose mails have not gone out, oldest first per rule.

        Raises StoreError.
        """
        keys = [alert_state.key for alert_state in self.alert_states(model)]
        return [event for key in keys for event in reversed(self.events(key)) if not event.delivered]

    def claim(self, event: AlertEvent, claimant: str) -> bool:
        """Take the sending of a mail for LEASE; False when it has gone out or another has it. Raises
        StoreError.
        """
        return self._applied(self._claim, (claimant, *_own(event.key), event.day))

    def delivered(self, event: AlertEvent) -> None:
        """Record that the mail server has taken the mail. Raises StoreError."""
        self._applied(self._delivered, (*_own(event.key), event.day))

    def release(self, event: AlertEvent, claimant: str, failure: str) -> None:
        """Give a mail back that could not be delivered, with the reason. Raises StoreError."""
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
    """Whether a rule says of the metric what another said, which stands somewhere."""
    key = alert_state.key
    named = key.rule == rule.name or key.rule.startswith(f"{rule.name}, ")
    return (
        named
        and (key.model, key.tag, key.mode) == (rule.model, rule.tag, rule.mode)
        and alert_state.state.judged is not None
    )


def _own(key: RuleKey) -> tuple[str, str, str, str]:
    return key.model, key.tag, key.mode, key.rule


def _state(judged: Any, since: Any) -> State:
    return State(judged and judged.date(), since and since.date())
