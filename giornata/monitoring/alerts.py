"""Evaluates alert rules over a series of observations: on which day an episode begins, on which it ends.

Pure functions without store, mail or clock. An episode begins on the first day whose value is beyond the bound and ends
on the first day whose value is not; each gives one transition, however long the episode lasts.
"""

import math
from collections.abc import Iterable

from giornata.documents.base import format_duration
from giornata.documents.model import Alert
from giornata.records.alert import Judgement, Observation, Rule, RuleState, Transition


def rule(model: str, tag: str, mode: str, alert: Alert) -> Rule:
    """The rule of an alert in a model's document, at one tag and mode."""
    above, below = alert.above, alert.below
    return Rule(
        model=model,
        tag=tag,
        mode=mode,
        metric=alert.metric,
        bound="above" if above is not None else "below",
        threshold=float(above if above is not None else below or 0.0),
        window=format_duration(alert.over),
        min_rows=alert.min_rows,
        mail=tuple(alert.mail),
    )


def judge(rule: Rule, observations: Iterable[Observation], state: RuleState) -> list[Judgement]:
    """Evaluate the days after `state.judged`, in order; earlier days keep their result.

    A day without an observation, with fewer than the rule's `min_rows` rows or with a value that is not finite decides
    nothing: no episode begins or ends on it, and it may still be evaluated once its labels have arrived.
    """
    judgements = []
    for seen in sorted(observations, key=lambda observation: observation.day):
        if state.judged is not None and seen.day <= state.judged:
            continue
        if seen.rows < rule.min_rows or not math.isfinite(seen.value):
            continue
        judgement = _judge_day(rule, seen, state)
        judgements.append(judgement)
        state = judgement.state
    return judgements


def _judge_day(rule: Rule, seen: Observation, state: RuleState) -> Judgement:
    if rule.broken_by(seen.value):
        if state.since is not None:
            return Judgement(RuleState(seen.day, state.since), None)
        return Judgement(RuleState(seen.day, seen.day), Transition(rule, "fired", seen, seen.day))
    if state.since is None:
        return Judgement(RuleState(seen.day), None)
    return Judgement(RuleState(seen.day), Transition(rule, "recovered", seen, state.since))
