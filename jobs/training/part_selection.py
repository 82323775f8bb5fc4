"""Selects the parts to keep and the parameters of each, by the losses of candidates on the validation rows.

Levels or parts that search for parameters of their own do so together, in rounds: each proposes a few parameter sets,
all of these are fitted in one job, and each gets the losses of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from giornata.documents.model import Partition, Search
from giornata.errors import DataError
from giornata.partitions import (
    CandidateLosses,
    Decision,
    Key,
    candidate_sums,
    choose_sets,
    chosen_losses,
    decide,
    joined_losses,
    shared_loss,
)
from giornata.schema import Scalar
from giornata.search.optuna_search import further_trials
from giornata.search.part_search import PartSearch
from jobs.training.part_fitting import Candidate, FitConfig, FittedPart, validation_losses

__all__ = ["Chosen", "choose", "part_order"]

Fit = Callable[[Mapping[Candidate, int], FitConfig], dict[Candidate, FittedPart]]
"""Fits candidates, given with their numbers of rows, to the training rows of their parts."""


@dataclass(frozen=True)
class Chosen:
    """The decision about every part; for parts that could be fitted, their parameters and how many sets were tried."""

    decisions: Mapping[Key, Decision]
    parameters: Mapping[Key, Mapping[str, Scalar]]
    tried: Mapping[Key, int]

    @property
    def kept(self) -> list[Key]:
        """The parts that have a model, root first."""
        return sorted((key for key, decision in self.decisions.items() if decision.kept), key=part_order)


@dataclass(frozen=True)
class _Tried:
    """The parameter sets tried so far, by number, with the problems and losses of each candidate."""

    parameter_sets: Sequence[Mapping[str, Scalar]]
    problems: Mapping[Candidate, str]
    losses: Mapping[Key, CandidateLosses]

    @property
    def fitted(self) -> list[Candidate]:
        return [candidate for candidate, problem in self.problems.items() if not problem]


def part_order(key: Key) -> tuple[int, str]:
    """Sort key of parts, coarser ones first."""
    return len(key), repr(key)


def choose(
    matrix: DataFrame,
    partition: Partition,
    plan: Search | None,
    config: FitConfig,
    tried: Mapping[Key, int],
    error: Callable[[float], float],
    fit: Fit,
) -> Chosen:
    """Select the parts to keep among those `tried` (with their numbers of rows), and the parameters of each.

    `config` has the best parameter sets of `plan`, the search on all rows. `error` computes the metric from a mean
    loss. Raises DataError when the root cannot be fitted.
    """
    # The root uses the best parameters of the search, which was made on its rows.
    first = {
        (key, number): rows
        for key, rows in tried.items()
        for number in range(len(config.parameter_sets) if key else 1)
    }
    found = _more(matrix, config, _Tried([], {}, {}), config.parameter_sets, first, fit)
    if found.problems[(), 0]:
        raise DataError(f"the model cannot be fitted: {found.problems[(), 0]}")
    if plan and partition.trials:
        found = _searched(matrix, partition, plan, config, tried, found, fit)
    parameter_sets = choose_sets(found.fitted, found.losses, partition.tune or "once")
    decisions = _unfitted(tried, found) | decide(
        parameter_sets, chosen_losses(found.losses, parameter_sets), partition.margin, error
    )
    counts = {key: sum(of == key for of, _ in found.problems) for key in parameter_sets}
    return Chosen(
        decisions, {key: found.parameter_sets[number] for key, number in parameter_sets.items()}, counts
    )


def _searched(
    matrix: DataFrame,
    partition: Partition,
    plan: Search,
    config: FitConfig,
    tried: Mapping[Key, int],
    found: _Tried,
    fit: Fit,
) -> _Tried:
    """All results after the trials of every level or part; a part without any fitted candidate gets no trials."""
    assert partition.trials, "the levels or parts search"
    groups = _groups(found, partition.tune or "once")
    sums = candidate_sums(found.losses)
    searches = {
        group: PartSearch(
            plan,
            config.parameter_sets,
            [shared_loss(sums, keys, number) for number in range(len(config.parameter_sets))],
            partition.trials,
        )
        for group, keys in groups.items()
    }
    left = further_trials(plan, config.parameter_sets, partition.trials)
    while left > 0:
        further: list[Mapping[str, Scalar]] = []
        numbers: dict[Key, list[int]] = {}
        for group, search in searches.items():
            proposed = search.ask(min(left, len(config.parameter_sets)))
            start = len(found.parameter_sets) + len(further)
            numbers[group] = [*range(start, start + len(proposed))]
            further += proposed
        if not further:
            break
        asked = {
            (key, number): tried[key]
            for group in groups
            for key in groups[group]
            for number in numbers[group]
        }
        found = _more(matrix, config, found, further, asked, fit)
        sums = candidate_sums(found.losses)
        for group, search in searches.items():
            search.tell([shared_loss(sums, groups[group], number) for number in numbers[group]])
        left -= len(config.parameter_sets)
    return found


def _groups(found: _Tried, tune: str) -> dict[Key, list[Key]]:
    """Groups of parts that share parameters, by their first part: the parts of a level, or each part alone."""
    parts = sorted({key for key, _ in found.fitted if key}, key=part_order)
    if tune == "part":
        return {key: [key] for key in parts}
    levels = [[key for key in parts if len(key) == depth] for depth in sorted({len(key) for key in parts})]
    return {level[0]: level for level in levels}


def _more(
    matrix: DataFrame,
    config: FitConfig,
    found: _Tried,
    further: Sequence[Mapping[str, Scalar]],
    asked: Mapping[Candidate, int],
    fit: Fit,
) -> _Tried:
    """All results after the candidates of further parameter sets have been fitted."""
    parameter_sets = [*found.parameter_sets, *further]
    fitted = fit(asked, replace(config, parameter_sets=parameter_sets))
    files = {candidate: part.files for candidate, part in fitted.items() if not part.problem}
    problems = {candidate: part.problem for candidate, part in fitted.items()}
    losses = joined_losses(found.losses, validation_losses(matrix, files, config))
    return _Tried(parameter_sets, {**found.problems, **problems}, losses)


def _unfitted(tried: Mapping[Key, int], found: _Tried) -> dict[Key, Decision]:
    """The parts that could not be fitted with any parameter set, with the first problem."""
    problems: dict[Key, list[str]] = {key: [] for key in tried}
    for (key, _), problem in found.problems.items():
        problems[key].append(problem)
    return {key: Decision(False, told[0]) for key, told in problems.items() if all(told)}
