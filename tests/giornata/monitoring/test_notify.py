import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from cassandra.cluster import Session

from giornata.monitoring.mail import MailServer
from giornata.monitoring.notify import deliver, judge_rule
from giornata.records.alert import Observation, Rule
from giornata.settings import Settings
from giornata.stores import cassandra
from giornata.stores.alerts import Alerts

FIRST = date(2013, 11, 1)
SENDER = "giornata@x.org"


@pytest.fixture(scope="module")
def session(stores: Settings, schema: Path) -> Iterator[Session]:
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, schema)
        yield opened


@pytest.fixture
def alerts(session: Session) -> Alerts:
    return Alerts(session)


@pytest.fixture
def rule() -> Rule:
    """A rule of a model that no other test uses."""
    model = f"g_{uuid.uuid4().hex[:10]}/trip_minutes"
    return Rule(model, "production", "batch", "rmse", "above", 18.0, "1d", 50, ("a@x.org",))


def series(*values: float) -> list[Observation]:
    return [Observation(FIRST + timedelta(days=n), value, 100, "u1") for n, value in enumerate(values)]


def subjects(sink: Any) -> list[str]:
    return [
        mail["Subject"].removeprefix("[Giornata] ").split(" over")[0].split(": ")[0] for mail in sink.mails
    ]


def run(alerts: Alerts, rule: Rule, seen: list[Observation], server: str) -> tuple[int, int, int]:
    """One run of a job; returns transitions stored, mails sent and failures."""
    stored = judge_rule(alerts, rule, seen, "http://h/")
    delivery = deliver(alerts, [rule.model], MailServer(server), SENDER)
    return len(stored), len(delivery.sent), len(delivery.failures)


def test_each_episode_is_told_once_however_often_the_job_runs(alerts: Alerts, rule: Rule, sink: Any) -> None:
    seen = series(17, 19, 20, 16, 19)
    assert run(alerts, rule, seen[:3], sink.address) == (1, 1, 0)
    assert run(alerts, rule, seen[:3], sink.address) == (0, 0, 0)
    assert run(alerts, rule, seen, sink.address) == (2, 2, 0)
    assert run(alerts, rule, seen, sink.address) == (0, 0, 0)
    assert subjects(sink) == [rule.model, "recovered", rule.model]


def test_day_by_day_and_all_at_once_come_to_the_same(alerts: Alerts, rule: Rule, sink: Any) -> None:
    seen = series(19, 17, 19, 20, 17)
    for day in range(1, 6):
        run(alerts, rule, seen[:day], sink.address)
    daily = [mail["Subject"] for mail in sink.mails]
    sink.mails.clear()
    again = Rule(**{**vars(rule), "model": f"{rule.model}_2"})
    run(alerts, again, seen, sink.address)
    assert [mail["Subject"].replace(again.model, rule.model) for mail in sink.mails] == daily
    assert len(daily) == 4


def test_two_jobs_at_once_mail_once(alerts: Alerts, rule: Rule, sink: Any) -> None:
    seen = series(19, 20, 16, 19)
    start = Barrier(3)

    def job() -> tuple[int, int, int]:
        start.wait(timeout=30)
        return run(alerts, rule, seen, sink.address)

    with ThreadPoolExecutor(3) as pool:
        done = [future.result(timeout=120) for future in [pool.submit(job) for _ in range(3)]]
    assert [sum(column) for column in zip(*done, strict=True)] == [3, 3, 0]
    assert sorted(subjects(sink)) == sorted([rule.model, "recovered", rule.model])


def test_a_mail_that_cannot_go_out_is_not_claimed_to_have_gone(alerts: Alerts, rule: Rule, sink: Any) -> None:
    sink.answers = ["554 not today"]
    assert run(alerts, rule, series(19), sink.address) == (1, 0, 1)
    (waiting,) = alerts.undelivered(rule.model)
    assert waiting.failure is not None
    assert "answers 554 not today" in waiting.failure
    assert alerts.state(rule).firing, "the rule stands as it does whether or not anybody could be told"
    assert run(alerts, rule, series(19), sink.address) == (0, 1, 0)
    assert run(alerts, rule, series(19), sink.address) == (0, 0, 0)
    assert subjects(sink) == [rule.model]


def test_a_mail_taken_for_some_is_not_sent_again(alerts: Alerts, rule: Rule, sink: Any) -> None:
    both = Rule(**{**vars(rule), "mail": ("a@x.org", "gone@x.org")})
    sink.refuse = {"gone@x.org": "550 unknown"}
    judge_rule(alerts, both, series(19), "http://h/")
    delivery = deliver(alerts, [both.model], MailServer(sink.address), SENDER)
    assert delivery.failures == ()
    (refusal,) = delivery.refused
    assert refusal.endswith("was refused for gone@x.org: 550 unknown")
    assert deliver(alerts, [both.model], MailServer(sink.address), SENDER).sent == ()
    assert len(sink.mails) == 1


def test_rules_that_differ_in_recipients_alone_both_mail(alerts: Alerts, rule: Rule, sink: Any) -> None:
    other = Rule(**{**vars(rule), "mail": ("owner@x.org",)})
    alerts.take_over([rule, other])
    for each in (rule, other):
        judge_rule(alerts, each, series(17, 19), "http://h/")
    assert len(deliver(alerts, [rule.model], MailServer(sink.address), SENDER).sent) == 2
    assert sorted(mail["To"] for mail in sink.mails) == ["a@x.org", "owner@x.org"]
    assert len({mail["Message-ID"] for mail in sink.mails}) == 2


def test_a_mail_that_cannot_be_put_together_keeps_no_other_back(
    alerts: Alerts, rule: Rule, sink: Any
) -> None:
    """As they were stored before addresses were checked."""
    for number, to in enumerate(("a@x.org\r\nBcc: b@x.org", "", "\udce9@x.org", "last@x.org")):
        odd = Rule(**{**vars(rule), "min_rows": 10 + number, "mail": (to.replace("\udce9", "\xe9"),)})
        judge_rule(alerts, odd, series(19), "http://h/")
    delivery = deliver(alerts, [rule.model], MailServer(sink.address), SENDER)
    assert "last@x.org" in [mail["To"] for mail in sink.mails]
    assert len(delivery.sent) + len(delivery.failures) == 4
    assert all("could not be delivered" in failure for failure in delivery.failures)
    assert not any("b@x.org" in mail["To"] for mail in sink.mails)


def test_mails_of_other_models_are_left_alone(alerts: Alerts, rule: Rule, sink: Any) -> None:
    judge_rule(alerts, rule, series(19), "http://h/")
    assert deliver(alerts, [f"{rule.model}_2"], MailServer(sink.address), SENDER).sent == ()
    assert len(alerts.undelivered(rule.model)) == 1
