"""Stops trials of a search that are worse than others were after as many rounds.

The rule is that of Optuna's median pruner (https://optuna.readthedocs.io, MedianPruner): a trial whose best loss so far
is above the median of the losses that earlier trials had at the same round is stopped. A trial gets the medians of the
trials reported before it begins, so that it decides by itself where it runs, and the same search prunes the same trials
whatever their timing.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

from giornata.models.base import PrunedError
from giornata.records.model_version import TrialRecord

__all__ = ["STARTUP", "Curve", "CurveWatch", "PruningBounds", "bounds", "next_round"]

STARTUP = 5
"""Trials with a curve that must be complete before any is pruned."""

Curve = Sequence[tuple[int, float]]
"""Losses on the validation rows by round, lower is better."""

PruningBounds = Mapping[int, float]
"""The loss at a round above which a trial is pruned."""


class CurveWatch:
    """A callback (see `giornata.models.base`) that records the loss curve of a fit and stops it by `bounds`."""

    def __init__(self, limits: PruningBounds):
        self.curve: list[tuple[int, float]] = []
        self._limits = limits
        self._best = math.inf
        self._due = 1

    def __call__(self, round_: int, loss: float) -> None:
        """Record the loss after a round. Raises PrunedError if it is above the bound."""
        self._best = min(self._best, loss)
        if round_ < self._due or not math.isfinite(loss):
            return
        self._due = next_round(round_)
        self.curve.append((round_, loss))
        if self._best > self._limits.get(round_, math.inf):
            raise PrunedError(f"worse than the median of earlier trials after round {round_}")


def next_round(round_: int) -> int:
    """The next round to record after `round_`: every round up to 20, then every 5 %, so that curves stay short."""
    return max(round_ + 1, int(round_ * 1.05))


def bounds(told: Sequence[TrialRecord]) -> dict[int, float]:
    """The median loss at each round, over trials that reached it; empty before STARTUP trials are complete."""
    if sum(trial.state == "complete" and bool(trial.curve) for trial in told) < STARTUP:
        return {}
    by_round: dict[int, list[float]] = {}
    for trial in told:
        for round_, loss in trial.curve:
            by_round.setdefault(round_, []).append(loss)
    return {
        round_: statistics.median(losses) for round_, losses in by_round.items() if len(losses) >= STARTUP
    }
