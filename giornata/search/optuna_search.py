"""Hyperparameter search: Optuna proposes parameters, a caller runs the trials, the best trial wins.

It does not know where trials run: they are submitted as futures, several at a time, and reported to Optuna in the order
of their numbers. So the proposal and the pruning of a trial depend only on the results of earlier trials, never on
which of them happened to finish first: the same data and seed give the same search.
"""

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from giornata.documents.model import Search
from giornata.errors import DataError
from giornata.models.base import FitError
from giornata.models.search_space import Dimension
from giornata.records.model_version import TrialRecord
from giornata.schema import Scalar
from giornata.search.pruning import Curve, PruningBounds, bounds
from giornata.tasks.metrics import HIGHER_IS_BETTER

__all__ = [
    "Submit",
    "TrialResult",
    "best_trial",
    "distributions",
    "further_trials",
    "grid_points",
    "new_study",
    "point_within",
    "search",
    "trial_count",
]


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial: the metric on the validation rows (None if pruned), the number of rounds, the seconds it
    took, and the losses by round."""

    value: float | None
    rounds: int
    seconds: float
    curve: Curve = ()


Submit = Callable[[dict[str, Scalar], PruningBounds], "Future[TrialResult]"]
"""Starts a trial with parameters, to be pruned by bounds. Its future raises FitError when the trial fails."""


@dataclass(frozen=True)
class _Running:
    """A running trial. Optuna does not know the first one, whose parameters may lie outside the space."""

    trial: optuna.trial.Trial | None
    number: int
    parameters: dict[str, Scalar]
    answer: "Future[TrialResult] | TrialRecord"


def search(
    submit: Submit,
    base: Mapping[str, Scalar],
    plan: Search,
    in_flight: int,
    warm_start: Sequence[Mapping[str, Scalar]] = (),
    known: Mapping[int, TrialRecord] | None = None,
    spent: float = 0.0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[TrialRecord]:
    """Run the trials of `plan`, at most `in_flight` at a time, and yield their records in order.

    The first trial uses `base`, the document's parameters, even where they lie outside the space. The others draw the
    parameters of the space, those of `warm_start` first as far as they lie in it, and take the rest from `base`. A grid
    tries each combination once, that of `base` as the first trial.

    `known` holds trials, by number, that an interrupted search of the same rows has finished: they are not run again.
    A trial that fails is recorded and the others continue. No trial begins after the plan's `time`, of which `spent`
    seconds had passed before the interruption: trials that have not begun by then are cancelled.
    """
    study = new_study(plan, "maximize" if _higher(plan) else "minimize")
    space = distributions(plan.space)
    count = trial_count(plan, base)
    earlier = _earlier(warm_start, base, plan)
    for point in earlier:
        study.enqueue_trial(point)
    if plan.sampler == "grid":
        for point in grid_points(plan, [base, *earlier], count):
            study.enqueue_trial(point)
    ends = math.inf if plan.time is None else clock() + plan.time.total_seconds() - spent
    told: list[TrialRecord] = []
    running: deque[_Running] = deque()

    def oldest() -> Iterator[TrialRecord]:
        _wait(running[0], ends - clock())
        if clock() > ends:
            begun = [trial for trial in running if not _taken_back(trial)]
            running.clear()
            running.extend(begun)
        if running:
            told.append(_finish(study, running.popleft(), plan))
            yield told[-1]

    for number in range(count):
        if len(running) >= in_flight:
            yield from oldest()
        trial = study.ask(space) if number else None
        parameters = {**base, **(trial.params if trial else {})}
        answer: Future[TrialResult] | TrialRecord | None = (known or {}).get(number)
        if not isinstance(answer, TrialRecord) or answer.parameters != parameters:
            if clock() > ends:
                break
            answer = submit(parameters, bounds(told) if plan.pruning == "median" else {})
        running.append(_Running(trial, number, parameters, answer))
    while running:
        yield from oldest()


def trial_count(plan: Search, base: Mapping[str, Scalar]) -> int:
    """Number of trials of a search, if its time does not end it earlier.

    For a grid: all combinations, or `trials` of them, plus the document's parameters if they are not one of these.
    """
    if plan.sampler != "grid":
        assert plan.trials is not None, "only a grid has a number of its own"
        return plan.trials
    return 1 + further_trials(plan, [base], plan.combinations if plan.trials is None else plan.trials)


def further_trials(plan: Search, tried: Sequence[Mapping[str, Scalar]], trials: int) -> int:
    """How many of `trials` are left after those that are `tried`; for a grid, only its combinations count."""
    if plan.sampler != "grid":
        return max(trials - len(tried), 0)
    points = [point_within(plan.space, parameters) for parameters in tried]
    counted = {tuple(point.items()) for point in points if len(point) == len(plan.space)}
    return max(min(trials, plan.combinations) - len(counted), 0)


def best_trial(trials: Sequence[TrialRecord], metric: str) -> TrialRecord:
    """The trial with the best metric, the earlier of equals. Raises DataError when every trial failed."""
    complete = [trial for trial in trials if trial.value is not None]
    if not complete:
        reasons = "; ".join(sorted({trial.reason for trial in trials}))
        raise DataError(f"all {len(trials)} trials of the search failed: {reasons}")
    sign = -1 if metric in HIGHER_IS_BETTER else 1
    return min(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))


def _higher(plan: Search) -> bool:
    return plan.metric in HIGHER_IS_BETTER


def new_study(plan: Search, direction: Literal["maximize", "minimize"]) -> optuna.Study:
    """A study with the plan's sampler. For a grid, the caller enqueues the points."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction=direction, sampler=_sampler(plan))


def _sampler(plan: Search) -> optuna.samplers.BaseSampler:
    match plan.sampler:
        case "cmaes":
            return optuna.samplers.CmaEsSampler(seed=plan.seed, warn_independent_sampling=False)
        case "tpe":
            return optuna.samplers.TPESampler(seed=plan.seed)
        case _:
            return optuna.samplers.RandomSampler(seed=plan.seed)


def _earlier(
    warm_start: Sequence[Mapping[str, Scalar]], base: Mapping[str, Scalar], plan: Search
) -> list[dict[str, Scalar]]:
    """Earlier parameters as far as they lie in the space, without duplicates and without the document's own.

    For a grid, complete points only: the combination that completes a partial one is tried anyway.
    """
    points: list[dict[str, Scalar]] = []
    for drawn in warm_start:
        point = point_within(plan.space, drawn)
        enough = len(point) == len(plan.space) if plan.sampler == "grid" else point
        if enough and point not in points and not point.items() <= base.items():
            points.append(point)
    return points


def point_within(space: Mapping[str, Dimension], parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The parameters that lie inside a search space."""
    return {
        name: parameters[name]
        for name, dimension in space.items()
        if name in parameters and dimension.holds(parameters[name])
    }


def grid_points(plan: Search, tried: Sequence[Mapping[str, Scalar]], trials: int) -> list[dict[str, Scalar]]:
    """Combinations in an order drawn by the seed, without those that are tried anyway; as many as there are trials or a
    few more, so that a search with fewer trials than combinations covers the whole grid."""
    choices = {name: dimension.choice or [] for name, dimension in plan.space.items()}
    size = math.prod(map(len, choices.values()))
    wanted, random_ = trials + len(tried), random.Random(plan.seed)
    if size <= 2 * wanted:
        numbers = random_.sample(range(size), size)
    else:
        # Of a large grid a few points, without making all of it.
        drawn: dict[int, None] = {}
        while len(drawn) < wanted:
            drawn[random_.randrange(size)] = None
        numbers = list(drawn)
    points = [_point(choices, number) for number in numbers]
    return [point for point in points if not any(point.items() <= one.items() for one in tried)]


def _point(choices: Mapping[str, Sequence[Scalar]], number: int) -> dict[str, Scalar]:
    """The combination with a number, counted from 0 with the last parameter's choice changing first."""
    point: dict[str, Scalar] = {}
    for name in reversed(list(choices)):
        number, place = divmod(number, len(choices[name]))
        point[name] = choices[name][place]
    return {name: point[name] for name in choices}


def distributions(space: Mapping[str, Dimension]) -> dict[str, BaseDistribution]:
    """The distribution from which Optuna draws each parameter of a space."""
    return {name: _distribution(dimension) for name, dimension in space.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choice is not None:
        return CategoricalDistribution(dimension.choice)
    if dimension.integers is not None:
        least, most = dimension.integers
        return IntDistribution(least, most, log=dimension.log)
    assert dimension.floats is not None, "a dimension is one of the three"
    low, high = dimension.floats
    return FloatDistribution(low, high, log=dimension.log)


def _wait(running: _Running, seconds: float) -> None:
    """Wait for a trial's result, at most so many seconds."""
    if isinstance(running.answer, Future):
        wait([running.answer], None if seconds == math.inf else max(seconds, 0))


def _taken_back(running: _Running) -> bool:
    """Cancel a trial, which is only possible before it has begun."""
    return isinstance(running.answer, Future) and running.answer.cancel()


def _finish(study: optuna.Study, running: _Running, plan: Search) -> TrialRecord:
    """Wait for a trial, report it to Optuna, and record it."""
    record = running.answer if isinstance(running.answer, TrialRecord) else _record(running)
    trial = running.trial
    if trial is None:
        return record
    match record.state:
        case "complete":
            study.tell(trial, record.value)
        case "pruned":
            # Optuna ranks a pruned trial by its last value, in the direction of the study; losses are lower-is-better.
            for round_, loss in record.curve:
                trial.report(-loss if _higher(plan) else loss, round_)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        case _:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return record


def _record(running: _Running) -> TrialRecord:
    assert isinstance(running.answer, Future)
    try:
        result = running.answer.result()
        if result.value is not None and not math.isfinite(result.value):
            raise FitError("its metric is not defined on the validation rows")
    except FitError as error:
        return TrialRecord(
            number=running.number,
            parameters=running.parameters,
            state="failed",
            reason=str(error),
            seconds=0.0,
        )
    pruned = result.value is None
    return TrialRecord(
        number=running.number,
        parameters=running.parameters,
        state="pruned" if pruned else "complete",
        value=result.value,
        rounds=result.rounds,
        reason=f"after round {result.rounds} worse than the median of earlier trials" if pruned else "",
        seconds=result.seconds,
        curve=list(result.curve),
    )
