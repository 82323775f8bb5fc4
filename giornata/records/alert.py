"""Alert rules with their state, transitions and mails."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

ALL_ROWS = "all"


@dataclass(frozen=True)
class Rule:
    """An alert of a model's document, watching the predictions under one tag in one mode (batch or online)."""

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
        """The rule's condition: `rmse above 18 over 7d`. Rules with the same name may differ in the rest."""
        short = f"{self.threshold:.12g}"
        threshold = short if float(short) == self.threshold else repr(self.threshold)
        return f"{self.metric} {self.bound} {threshold} over {self.window}"

    @property
    def identity(self) -> str:
        """The whole rule in words: `rmse above 18 over 7d, 50 rows or more, to a@x.org, b@x.org`."""
        rows = f"{self.min_rows} row{'' if self.min_rows == 1 else 's'} or more"
        return f"{self.name}, {rows}, to {', '.join(sorted(self.mail))}"

    def broken_by(self, value: float) -> bool:
        """Whether `value` is beyond the bound; the bound itself is not."""
        return value > self.threshold if self.bound == "above" else value < self.threshold


@dataclass(frozen=True)
class Observation:
    """A metric over the window that ends with `day`, of version `uuid`, measured on `rows` labelled rows."""

    day: date
    value: float
    rows: int
    uuid: str
    part: str = ALL_ROWS


@dataclass(frozen=True)
class RuleState:
    """The state of a rule: the last evaluated day (None: none yet) and, in an episode, the day it began."""

    judged: date | None = None
    since: date | None = None

    @property
    def firing(self) -> bool:
        """Whether an episode is open."""
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
    """The result of evaluating one day: the new state, and the transition if there was one."""

    state: RuleState
    transition: Transition | None


@dataclass(frozen=True)
class Mail:
    """A message: addresses, subject line and plain text. `identity` is the same whenever the same mail is sent."""

    to: tuple[str, ...]
    subject: str
    body: str
    identity: str
