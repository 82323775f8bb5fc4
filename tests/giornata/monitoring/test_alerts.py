import math
from datetime import date, timedelta

import pytest

from giornata.documents import Alert
from giornata.monitoring.alerts import judge, rule
from giornata.records.alert import Observation, Rule, RuleState

FIRST = date(2013, 11, 1)


def above(threshold: float = 18.0, min_rows: int = 50) -> Rule:
    return Rule(
        "flights/trip_minutes",
        "production",
        "batch",
        "rmse",
        "above",
        threshold,
        "7d",
        min_rows,
        ("a@x.org",),
    )


def series(*values: float | None, rows: int = 100) -> list[Observation]:
    """One value a day from FIRST on; None is a day without an observation."""
    days = enumerate(values)
    return [
        Observation(FIRST + timedelta(days=n), value, rows, "u1") for n, value in days if value is not None
    ]


def transitions(judgements: list) -> list[tuple[str, int]]:
    """Kind and day of the month of each transition."""
    return [(j.transition.kind, j.transition.observation.day.day) for j in judgements if j.transition]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([17, 16, 17.9], [], id="stays within"),
        pytest.param([17, 19], [("fired", 2)], id="crosses"),
        pytest.param([19, 20, 21, 30], [("fired", 1)], id="stays beyond: one episode, one transition"),
        pytest.param([17, 19, 19, 17, 16], [("fired", 2), ("recovered", 4)], id="recovers once"),
        pytest.param(
            [19, 17, 19, 17],
            [("fired", 1), ("recovered", 2), ("fired", 3), ("recovered", 4)],
            id="flaps: each episode",
        ),
        pytest.param([18], [], id="the bound itself is good"),
        pytest.param([19, None, None, 19], [("fired", 1)], id="days without data do not end an episode"),
        pytest.param(
            [19, math.nan, 19], [("fired", 1)], id="a value that is no number does not end an episode"
        ),
        pytest.param([17, math.inf], [], id="nor does one begin it"),
        pytest.param([None, None], [], id="nothing at all"),
    ],
)
def test_transitions_of_a_rule_above(values: list, expected: list) -> None:
    assert transitions(judge(above(), series(*values), RuleState())) == expected


def test_below_is_the_other_way_round() -> None:
    auc = Rule("flights/late", "production", "online", "auc", "below", 0.7, "1d", 50, ("a@x.org",))
    assert transitions(judge(auc, series(0.71, 0.69, 0.7), RuleState())) == [("fired", 2), ("recovered", 3)]


def test_a_window_of_too_few_rows_decides_nothing() -> None:
    assert judge(above(), series(19, rows=49), RuleState()) == []
    firing = RuleState(FIRST - timedelta(days=1), FIRST - timedelta(days=1))
    assert judge(above(), series(10, rows=49), firing) == []
    assert transitions(judge(above(), series(10, rows=50), firing)) == [("recovered", 1)]


def test_days_judged_before_are_not_judged_again() -> None:
    values = series(17, 19, 17, 19)
    whole = judge(above(), values, RuleState())
    assert judge(above(), values, whole[-1].state) == []
    first, rest = judge(above(), values[:2], RuleState()), judge(above(), values, whole[1].state)
    assert first + rest == whole
    # A day that came too late for its turn stays out.
    assert judge(above(), series(99, 17), RuleState(judged=FIRST)) == [whole_day(2)]


def whole_day(day: int):
    return judge(above(), [Observation(date(2013, 11, day), 17, 100, "u1")], RuleState(judged=FIRST))[0]


def test_order_of_the_observations_does_not_matter() -> None:
    values = series(17, 19, 19, 17)
    assert judge(above(), list(reversed(values)), RuleState()) == judge(above(), values, RuleState())


def test_the_episode_remembers_the_day_it_began() -> None:
    judgements = judge(above(), series(17, 19, 20, 17), RuleState())
    assert [judgement.state for judgement in judgements] == [
        RuleState(date(2013, 11, 1)),
        RuleState(date(2013, 11, 2), date(2013, 11, 2)),
        RuleState(date(2013, 11, 3), date(2013, 11, 2)),
        RuleState(date(2013, 11, 4)),
    ]
    assert judgements[-1].transition.since == date(2013, 11, 2)


def test_a_rule_is_all_that_it_says() -> None:
    written = {"metric": "rmse", "above": 18.0, "over": "7d", "min_rows": 50, "mail": ["b@x.org", "a@x.org"]}
    said = [
        rule("m/m", "t", "batch", Alert.model_validate({**written, **change})).identity
        for change in (
            {}, {"mail": ["a@x.org"]}, {"min_rows": 1}, {"above": 18.000000000000004}, {"over": "8d"},
            {"metric": "mae"}, {"above": None, "below": 18.0}, {"mail": ["a@x.org", "b@x.org"]},
        )
    ]  # fmt: skip
    assert said[0] == "rmse above 18 over 7d, 50 rows or more, to a@x.org, b@x.org"
    assert said[2].startswith("rmse above 18 over 7d, 1 row or more, ")
    assert said[-1] == said[0], "the order of recipients says nothing"
    assert len(set(said)) == len(said) - 1


def test_rule_from_a_document() -> None:
    alert = Alert.model_validate({"metric": "rmse", "below": 0, "over": "14d", "mail": ["a@x.org"]})
    made = rule("flights/late", "production", "batch", alert)
    assert (made.bound, made.threshold, made.window, made.min_rows) == ("below", 0.0, "14d", 50)
    assert made.name == "rmse below 0 over 14d"
    assert rule("m/m", "t", "batch", alert.model_copy(update={"below": None, "above": 18.5})).name == (
        "rmse above 18.5 over 14d"
    )
