from datetime import date
from typing import Any

import pytest

from giornata.errors import SettingsError
from giornata.monitoring.mail import ATTEMPTS, MailError, MailServer, alert_mail, send
from giornata.records.alert import Mail, Observation, Rule, Transition

RULE = Rule(
    "flights/trip_minutes", "production", "batch", "rmse", "above", 18.0, "7d", 50, ("a@x.org", "b@x.org")
)


def transition(kind: str, value: float, day: int = 8, since: int = 8) -> Transition:
    return Transition(RULE, kind, Observation(date(2013, 11, day), value, 812, "u-42"), date(2013, 11, since))


MAIL = Mail(("a@x.org", "b@x.org"), "Überschrift", "Zeile\n", "id-1")


def test_what_the_server_gets(sink: Any) -> None:
    assert send(MailServer(sink.address), "giornata@x.org", MAIL) == {}
    (mail,) = sink.mails
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "giornata@x.org",
        "a@x.org, b@x.org",
        "Überschrift",
    )
    assert mail["Message-ID"] == "<id-1@giornata>"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == ["Zeile"]


def test_a_temporary_refusal_is_tried_again(sink: Any) -> None:
    sink.answers = ["451 busy"]
    assert send(MailServer(sink.address), "giornata@x.org", MAIL) == {}
    assert (sink.tries, len(sink.mails)) == (2, 1)


def test_tries_are_bounded(sink: Any) -> None:
    sink.answers = ["451 busy"] * 10
    with pytest.raises(MailError, match="answers 451 busy"):
        send(MailServer(sink.address), "giornata@x.org", MAIL)
    assert sink.tries == ATTEMPTS


def test_a_final_refusal_is_not_tried_again(sink: Any) -> None:
    sink.answers = ["554 no"]
    with pytest.raises(MailError, match="answers 554 no"):
        send(MailServer(sink.address), "giornata@x.org", MAIL)
    assert sink.tries == 1


def test_refused_addresses_are_named(sink: Any) -> None:
    sink.refuse = {"b@x.org": "550 unknown"}
    assert send(MailServer(sink.address), "giornata@x.org", MAIL) == {"b@x.org": "550 unknown"}
    assert len(sink.mails) == 1
    sink.refuse["a@x.org"] = "550 unknown"
    with pytest.raises(
        MailError, match=r"refuses the addresses \(a@x.org: 550 unknown; b@x.org: 550 unknown\)"
    ):
        send(MailServer(sink.address), "giornata@x.org", MAIL)


ODD = ["a@x.org.", "a@x..org", "a(b@x.org", 'a@x.org"', "a:b@x.org", "a b@x.org", "a,b@x.org", "nobody"]


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_address_takes_no_other_away(sink: Any, odd: str) -> None:
    """As they were stored before addresses were checked."""
    refused = send(MailServer(sink.address), "giornata@x.org", Mail((odd, "c@x.org"), "S", "B", "id"))
    assert list(refused) == [odd]
    assert "is not a mail address" in refused[odd]
    assert (sink.taken, sink.mails[0]["To"]) == ([["c@x.org"]], "c@x.org")


@pytest.mark.parametrize("to", ["a@x.org\r\nBcc: b@x.org", "\xe9@x.org\n", "\ud800@x.org"])
def test_what_is_no_mail_at_all_is_an_error_of_mail(sink: Any, to: str) -> None:
    with pytest.raises(MailError, match="could not be delivered"):
        send(MailServer(sink.address), "giornata@x.org", Mail((to,), "S", "B", "id"))
    assert sink.taken == []


def test_nobody_there(free_port: int) -> None:
    with pytest.raises(MailError, match=r"'Überschrift' to a@x.org, b@x.org .* does not answer"):
        send(MailServer(f"127.0.0.1:{free_port}"), "giornata@x.org", MAIL)


def test_an_address_that_is_none() -> None:
    with pytest.raises(SettingsError, match="GIORNATA_SMTP"):
        send(MailServer("localhost"), "giornata@x.org", MAIL)


def test_the_subject_says_it_all() -> None:
    mail = alert_mail(transition("fired", 19.234567), "http://h/giornata/")
    assert mail.to == RULE.mail
    assert mail.subject == (
        "[Giornata] flights/trip_minutes: rmse 19.23 is above 18 over 7d (production, batch, 2013-11-08)"
    )
    recovered = alert_mail(transition("recovered", 17.5, 10), "http://h/giornata/")
    assert recovered.subject == (
        "[Giornata] recovered: flights/trip_minutes: rmse 17.5 is no longer above 18 over 7d "
        "(production, batch, 2013-11-10)"
    )
    assert "The alert of 2013-11-08 is over." in recovered.body


def test_the_body_names_what_one_needs_to_look_further() -> None:
    body = alert_mail(transition("fired", 19.234567), "http://h/giornata/").body
    for needed in (
        "u-42",
        "production",
        "batch",
        "all",
        "rmse",
        "19.234567",
        "above 18",
        "7d",
        "812",
        "2013-11-08",
    ):
        assert needed in body
    assert "http://h/giornata/models/flights/trip_minutes/tags/production" in body
    assert "FROM flights.model_metrics" in body


@pytest.mark.parametrize(
    ("value", "shown"), [(18.0000321, "18.00003"), (18.0, "18"), (17.99999, "17.99999"), (123.456, "123.5")]
)
def test_a_value_beside_its_threshold_does_not_look_like_it(value: float, shown: str) -> None:
    assert f"rmse {shown} is" in alert_mail(transition("fired", value), "/").subject


def test_the_same_transition_has_the_same_identity() -> None:
    first = alert_mail(transition("fired", 19.2), "/")
    assert alert_mail(transition("fired", 19.3), "/").identity == first.identity
    assert alert_mail(transition("recovered", 19.2), "/").identity != first.identity
    assert alert_mail(transition("fired", 19.2, day=9), "/").identity != first.identity
