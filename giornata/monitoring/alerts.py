"""Judge alert rules over a series of measurements: which day begins an episode, which day ends it.

Pure arithmetic: no store, no mail, no clock. An episode begins with the first judged day whose value is
beyond the bound and ends with the first one whose value is not; each gives one transition, however long the
episode lasts.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from giornata.documents.base import format_duration
from giornata.documents.model import Alert

ALL_ROWS = "all"


@dataclass(frozen=True)
class Rule:
    """An alert of a model's document, watching the answers under one tag in one mode (batch or online)."""

    model: str
    tag: str
    mode: str
    metric: str
    bound: Literal["above", "below"]
    threshold: float
    window: str
    min_rows: int
    mail: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the rule says of the metric: `rmse above 18 over 7d`. Rules of one name may differ in the rest."""
        short = f"{self.threshold:.12g}"
        threshold = short if float(short) == self.threshold else repr(self.threshold)
        return f"{self.metric} {self.bound} {threshold} over {self.window}"

    @property
    def identity(self) -> str:
        """All that the rule says: `rmse above 18 over 7d, 50 rows or more, to a@x.org, b@x.org`."""
        rows = f"{self.min_rows} row{'' if self.min_rows == 1 else 's'} or more"
        return f"{self.name}, {rows}, to {', '.join(sorted(self.mail))}"

    def broken_by(self, value: float) -> bool:
        """Whether `value` lies beyond the bound; the bound itself is still good."""
        return value > self.threshold if self.bound == "above" else value < self.threshold


def rule(model: str, tag: str, mode: str, alert: Alert) -> Rule:
    """The rule that an alert of a model's document stands for, at one tag and mode."""
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


@dataclass(frozen=True)
class Observation:
    """A metric over the window that ends with `day`, of version `uuid`, measured on `rows` labelled rows."""

    day: date
    value: float
    rows: int
    uuid: str
    part: str = ALL_ROWS


@dataclass(frozen=True)
class State:
    """How a rule stands: the last day judged (None: none yet) and, in an episode, the day it began."""

    judged: date | None = None
    since: date | None = None

    @property
    def firing(self) -> bool:
        """Whether an episode is under way."""
        return self.since is not None


@dataclass(frozen=True)
class Transition:
    """The begin or the end of an episode; `since` is the day it began."""

    rule: Rule
    kind: Literal["fired", "recovered"]
    observation: Observation
    since: date


@dataclass(frozen=True)
class Judgement:
    """What judging one day gives: the state after it, and the transition if there was one."""

    state: State
    transition: Transition | None


def judge(rule: Rule, observations: Iterable[Observation], state: State) -> list[Judgement]:
    """Judge the days after `state.judged`, in order; earlier ones were judged before and stay as they were.

    A day without an observation, with fewer than the rule's `min_rows` rows or with a value that is not a
    finite number decides nothing: no episode begins or ends by it, and it may still be judged once its labels
    have come.
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


def _judge_day(rule: Rule, seen: Observation, state: State) -> Judgement:
    if rule.broken_by(seen.value):
        if state.since is not None:
            return Judgement(State(seen.day, state.since), None)
        return Judgement(State(seen.day, seen.day), Transition(rule, "fired", seen, seen.day))
    if state.since is None:
        return Judgement(State(seen.day), None)
    return Judgement(State(seen.day), Transition(rule, "recovered", seen, state.since))
