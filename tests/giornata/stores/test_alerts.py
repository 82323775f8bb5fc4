import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier
from typing import Any

import pytest
from cassandra.cluster import Session

from giornata.monitoring.alerts import judge
from giornata.monitoring.mail import alert_mail
from giornata.records.alert import Judgement, Observation, Rule, RuleState
from giornata.stores.alerts import LEASE, Alerts

FIRST = date(2013, 11, 1)


@pytest.fixture
def alerts(repository_session: Session) -> Alerts:
    return Alerts(repository_session)


@pytest.fixture
def rule() -> Rule:
    """A rule of a model that no other test uses."""
    model = f"g_{uuid.uuid4().hex[:10]}/trip_minutes"
    return Rule(model, "production", "batch", "rmse", "above", 18.0, "1d", 50, ("a@x.org", "b@x.org"))


def judged(rule: Rule, *values: float) -> list[Judgement]:
    days = enumerate(values)
    return judge(rule, [Observation(FIRST + timedelta(days=n), v, 100, "u1") for n, v in days], RuleState())


def store(
    alerts: Alerts, rule: Rule, judgements: list[Judgement], state: RuleState | None = None
) -> list[bool]:
    """Advance along judgements that follow each other; says which were applied."""
    state, applied = state or RuleState(), []
    for judgement in judgements:
        mail = alert_mail(judgement.transition, "http://h/") if judgement.transition else None
        applied.append(alerts.advance(rule, state, judgement, mail))
        state = judgement.state
    return applied


def test_a_rule_that_was_never_judged_is_quiet(alerts: Alerts, rule: Rule) -> None:
    assert alerts.state(rule) == RuleState()
    assert alerts.undelivered(rule.model) == []


def test_state_and_transitions_are_kept(alerts: Alerts, rule: Rule) -> None:
    assert store(alerts, rule, judged(rule, 17, 19, 20, 16)) == [True] * 4
    assert alerts.state(rule) == RuleState(FIRST + timedelta(days=3))
    (alert_state,) = alerts.alert_states(rule.model)
    assert (alert_state.key.rule, alert_state.state.firing) == (rule.identity, False)
    recovered, fired = alerts.events(alert_state.key)
    assert (fired.kind, fired.day, fired.value, fired.rows, fired.uuid) == (
        "fired",
        FIRST + timedelta(days=1),
        19.0,
        100,
        "u1",
    )
    assert (recovered.kind, recovered.day) == ("recovered", FIRST + timedelta(days=3))
    assert fired.mail.to == ("a@x.org", "b@x.org")
    assert "rmse 19 is above 18" in fired.mail.subject


def test_an_episode_under_way_is_firing(alerts: Alerts, rule: Rule) -> None:
    store(alerts, rule, judged(rule, 17, 19, 20))
    assert alerts.state(rule) == RuleState(FIRST + timedelta(days=2), FIRST + timedelta(days=1))
    assert alerts.alert_states(rule.model)[0].state.firing


def test_a_day_is_stored_once(alerts: Alerts, rule: Rule) -> None:
    first = judged(rule, 19)
    assert store(alerts, rule, first) == [True]
    assert store(alerts, rule, first) == [False], "a second job that still believes nothing was judged"
    assert len(alerts.undelivered(rule.model)) == 1


def test_of_two_jobs_at_once_one_stores_each_day(alerts: Alerts, rule: Rule) -> None:
    (judgement,) = judged(rule, 19)
    start = Barrier(4)

    def job() -> bool:
        start.wait(timeout=30)
        return store(alerts, rule, [judgement])[0]

    with ThreadPoolExecutor(4) as pool:
        results = [future.result(timeout=60) for future in [pool.submit(job) for _ in range(4)]]
    assert sorted(results) == [False, False, False, True]
    assert len(alerts.undelivered(rule.model)) == 1


def test_of_two_jobs_at_once_one_gets_the_mail(alerts: Alerts, rule: Rule) -> None:
    store(alerts, rule, judged(rule, 19))
    (event,) = alerts.undelivered(rule.model)
    start = Barrier(4)

    def job(name: str) -> bool:
        start.wait(timeout=30)
        return alerts.claim(event, name)

    with ThreadPoolExecutor(4) as pool:
        results = [future.result(timeout=60) for future in [pool.submit(job, f"job{n}") for n in range(4)]]
    assert sorted(results) == [False, False, False, True]


def test_a_mail_that_went_is_never_claimed_again(alerts: Alerts, rule: Rule) -> None:
    store(alerts, rule, judged(rule, 19))
    (event,) = alerts.undelivered(rule.model)
    assert alerts.claim(event, "one")
    alerts.delivered(event)
    assert alerts.undelivered(rule.model) == []
    assert not alerts.claim(event, "two")


def test_a_mail_that_was_refused_waits_with_its_reason(alerts: Alerts, rule: Rule) -> None:
    store(alerts, rule, judged(rule, 19))
    (event,) = alerts.undelivered(rule.model)
    assert alerts.claim(event, "one")
    alerts.release(event, "two", "not mine to give back")
    assert not alerts.claim(event, "two")
    alerts.release(event, "one", "the mail server does not answer")
    (waiting,) = alerts.undelivered(rule.model)
    assert (waiting.delivered, waiting.failure) == (False, "the mail server does not answer")
    assert alerts.claim(event, "two")


def test_a_claim_runs_out(alerts: Alerts, rule: Rule, repository_session: Session) -> None:
    store(alerts, rule, judged(rule, 19))
    (event,) = alerts.undelivered(rule.model)
    assert alerts.claim(event, "one")
    rows = repository_session.execute(
        "SELECT TTL(claim) AS left FROM giornata.alerts "
        "WHERE model = %s AND tag = %s AND mode = %s AND rule = %s AND day = %s",
        (rule.model, rule.tag, rule.mode, rule.identity, event.day),
    )
    assert 0 < rows.one().left <= LEASE.total_seconds()


@pytest.mark.parametrize(
    "change", [{"mail": ("a@x.org",)}, {"min_rows": 10}, {"threshold": 18.000000000000004}]
)
def test_rules_that_differ_in_anything_are_two(alerts: Alerts, rule: Rule, change: dict[str, Any]) -> None:
    other = replace(rule, **change)
    store(alerts, rule, judged(rule, 19))
    alerts.take_over([rule, other])
    assert alerts.state(other) == RuleState()
    assert store(alerts, other, judged(other, 19)) == [True]
    first, second = alerts.undelivered(rule.model)
    assert first.mail.identity != second.mail.identity


def test_a_rule_that_was_known_by_its_name_goes_on_from_there(
    alerts: Alerts, rule: Rule, repository_session: Session
) -> None:
    began, now = FIRST, FIRST + timedelta(days=2)
    repository_session.execute(
        "INSERT INTO giornata.alerts (model, tag, mode, rule, judged, since) VALUES (%s, %s, %s, %s, %s, %s)",
        (rule.model, rule.tag, rule.mode, "rmse above 18 over 1d", now, began),
    )
    second = replace(rule, mail=("c@x.org",))
    alerts.take_over([rule, second])
    assert alerts.state(rule) == RuleState(now, began)
    assert alerts.state(second) == RuleState(), "who was never told begins anew"
    assert [alert_state.key.rule for alert_state in alerts.alert_states(rule.model)] == [rule.identity]
    alerts.take_over([rule, second])
    assert alerts.state(rule) == RuleState(now, began)


def test_a_rule_with_other_recipients_goes_on_from_where_it_was_left(alerts: Alerts, rule: Rule) -> None:
    store(alerts, rule, judged(rule, 19, 20))
    edited = replace(rule, mail=(*rule.mail, "c@x.org"), min_rows=20)
    alerts.take_over([edited])
    assert alerts.state(edited) == RuleState(FIRST + timedelta(days=1), FIRST)
    left, stands = sorted(
        alerts.alert_states(rule.model), key=lambda alert_state: alert_state.state.judged is not None
    )
    assert (left.key.rule, left.state) == (rule.identity, RuleState()), "it has transitions, which stay"
    assert len(alerts.events(left.key)) == len(alerts.undelivered(rule.model)) == 1
    assert stands.key.rule == edited.identity


def test_of_two_jobs_at_once_one_takes_over(alerts: Alerts, rule: Rule) -> None:
    store(alerts, rule, judged(rule, 19, 20))
    edited = replace(rule, mail=("c@x.org",))
    start = Barrier(4)

    def job() -> None:
        start.wait(timeout=30)
        alerts.take_over([edited])

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(job) for _ in range(4)]:
            future.result(timeout=60)
    assert alerts.state(edited) == RuleState(FIRST + timedelta(days=1), FIRST)
    assert alerts.state(rule) == RuleState()


def test_rules_do_not_share_their_state(alerts: Alerts, rule: Rule) -> None:
    other = Rule(rule.model, rule.tag, "online", "rmse", "above", 18.0, "1d", 50, rule.mail)
    store(alerts, rule, judged(rule, 19))
    assert alerts.state(other) == RuleState()
    assert store(alerts, other, judged(other, 17)) == [True]
    assert [alert_state.key.mode for alert_state in alerts.alert_states(rule.model)] == ["batch", "online"]
    assert len(alerts.undelivered(rule.model)) == 1
