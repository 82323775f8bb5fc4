"""The search for parameters: Optuna proposes, whoever runs the trials answers, the best trial wins.

Knows nothing of where trials run: they are handed out as futures, several at a time, and told to Optuna in the
order of their numbers. What a trial is proposed so depends on the answers to earlier trials alone, never on
which of them happened to finish first: the same data and seed give the same search.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, cast

import optuna

from giornata.documents.model import Dimension, Scalar
from giornata.documents.record import TrialRecord
from giornata.errors import DataError
from giornata.evaluation.metrics import HIGHER_IS_BETTER
from giornata.models.base import FitError

__all__ = ["TrialResult", "best_trial", "search"]


@dataclass(frozen=True)
class TrialResult:
    """What a trial gave: the metric on the validation rows, the rounds fitted, the seconds it took."""

    value: float
    rounds: int
    seconds: float


def search(
    submit: Callable[[dict[str, Scalar]], "Future[TrialResult]"],
    own: Mapping[str, Scalar],
    space: Mapping[str, Dimension],
    trials: int,
    metric: str,
    seed: int,
    in_flight: int,
) -> Iterator[TrialRecord]:
    """Run `trials` trials, at most `in_flight` at a time, and yield their records in order.

    The first trial is `own`, the document's parameters as they are; the others draw the parameters of `space` and
    keep the rest of `own`. `submit` starts a trial; its future raises FitError when the trial fails, which is
    recorded while the others go on.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction: Literal["maximize", "minimize"] = "maximize" if metric in HIGHER_IS_BETTER else "minimize"
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.TPESampler(seed=seed))
    running: deque[tuple[optuna.trial.Trial | None, int, dict[str, Scalar], Future[TrialResult]]] = deque()
    for number in range(trials):
        if len(running) >= in_flight:
            yield _finish(study, *running.popleft())
        # The document's own parameters may lie outside of the space, so Optuna is not told of that trial.
        trial = study.ask() if number else None
        parameters = {**own, **(_suggest(trial, space) if trial else {})}
        running.append((trial, number, parameters, submit(parameters)))
    while running:
        yield _finish(study, *running.popleft())


def best_trial(trials: list[TrialRecord], metric: str) -> TrialRecord:
    """The trial with the best metric, the earlier of equals. Raises DataError when every trial failed."""
    complete = [trial for trial in trials if trial.value is not None]
    if not complete:
        reasons = "; ".join(sorted({trial.reason for trial in trials}))
        raise DataError(f"all {len(trials)} trials of the search failed: {reasons}")
    sign = -1 if metric in HIGHER_IS_BETTER else 1
    return min(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))


def _suggest(trial: optuna.trial.Trial, space: Mapping[str, Dimension]) -> dict[str, Scalar]:
    drawn: dict[str, Scalar] = {}
    for name, dimension in space.items():
        if dimension.choice is not None:
            drawn[name] = cast(Scalar, trial.suggest_categorical(name, dimension.choice))
        elif dimension.integers is not None:
            low, high = dimension.integers
            drawn[name] = trial.suggest_int(name, low, high, log=dimension.log)
        elif dimension.floats is not None:
            drawn[name] = trial.suggest_float(name, *dimension.floats, log=dimension.log)
    return drawn


def _finish(
    study: optuna.Study,
    trial: optuna.trial.Trial | None,
    number: int,
    parameters: dict[str, Scalar],
    future: "Future[TrialResult]",
) -> TrialRecord:
    try:
        result = future.result()
        if not math.isfinite(result.value):
            raise FitError("its metric is not defined on the validation rows")
    except FitError as error:
        if trial:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return TrialRecord(
            number=number, parameters=parameters, state="failed", reason=str(error), seconds=0.0
        )
    if trial:
        study.tell(trial, result.value)
    return TrialRecord(
        number=number,
        parameters=parameters,
        state="complete",
        value=result.value,
        rounds=result.rounds,
        seconds=result.seconds,
    )
