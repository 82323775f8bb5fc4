"""Chooses the parameters of every part and which parts are kept, by how candidates do on validation rows.

Levels and parts that search for themselves do so all at once, in rounds: in each, every one of them proposes a few sets
of parameters, all are fitted, and each hears how its own did.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from giornata.documents.model import Partition, Scalar, Search
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
from giornata.search.optuna_search import further_trials
from giornata.search.part_search import PartSearch
from jobs.training.part_fitting import Candidate, FitConfig, FittedPart, validation_losses

__all__ = ["Chosen", "choose", "part_order"]

Fit = Callable[[Mapping[Candidate, int], FitConfig], dict[Candidate, FittedPart]]
"""Fits candidates, each with so many rows, to the training rows of their parts."""


@dataclass(frozen=True)
class Chosen:
    """What is decided about every part, and its parameters, of those that could be fitted, chosen of so many sets."""

    decisions: Mapping[Key, Decision]
    parameters: Mapping[Key, Mapping[str, Scalar]]
    tried: Mapping[Key, int]

    @property
    def kept(self) -> list[Key]:
        """The parts that have a model, root first."""
        return sorted((key for key, decision in self.decisions.items() if decision.kept), key=part_order)


@dataclass(frozen=True)
class _Tried:
    """The sets of parameters so far, by number, which parts could be fitted with which, and how they did."""

    sets: Sequence[Mapping[str, Scalar]]
    problems: Mapping[Candidate, str]
    losses: Mapping[Key, CandidateLosses]

    @property
    def fitted(self) -> list[Candidate]:
        return [candidate for candidate, problem in self.problems.items() if not problem]


def part_order(key: Key) -> tuple[int, str]:
    """By which parts are sorted, coarser ones first."""
    return len(key), repr(key)


def choose(
    matrix: DataFrame,
    partition: Partition,
    plan: Search | None,
    recipe: FitConfig,
    tried: Mapping[Key, int],
    error: Callable[[float], float],
    fit: Fit,
) -> Chosen:
    """Decide which of the parts that are `tried`, each with so many rows, are kept, and with which parameters.

    `plan` is the search on all rows, whose best sets those of `recipe` are. `error` makes the metric of a mean loss.
    Raises DataError when the root cannot be fitted.
    """
    # The root keeps the best of the search, which was made on its rows.
    first = {
        (key, number): rows for key, rows in tried.items() for number in range(len(recipe.sets) if key else 1)
    }
    found = _more(matrix, recipe, _Tried([], {}, {}), recipe.sets, first, fit)
    if found.problems[(), 0]:
        raise DataError(f"the model cannot be fitted: {found.problems[(), 0]}")
    if plan and partition.trials:
        found = _searched(matrix, partition, plan, recipe, tried, found, fit)
    sets = choose_sets(found.fitted, found.losses, partition.tune or "once")
    decisions = _unfitted(tried, found) | decide(
        sets, chosen_losses(found.losses, sets), partition.margin, error
    )
    counts = {key: sum(of == key for of, _ in found.problems) for key in sets}
    return Chosen(decisions, {key: found.sets[number] for key, number in sets.items()}, counts)


def _searched(
    matrix: DataFrame,
    partition: Partition,
    plan: Search,
    recipe: FitConfig,
    tried: Mapping[Key, int],
    found: _Tried,
    fit: Fit,
) -> _Tried:
    """What is known when every level or part has had its trials; one that no set could be fitted to has none."""
    assert partition.trials, "the levels or parts search"
    groups = _groups(found, partition.tune or "once")
    sums = candidate_sums(found.losses)
    searches = {
        group: PartSearch(
            plan,
            recipe.sets,
            [shared_loss(sums, keys, number) for number in range(len(recipe.sets))],
            partition.trials,
        )
        for group, keys in groups.items()
    }
    left = further_trials(plan, recipe.sets, partition.trials)
    while left > 0:
        further: list[Mapping[str, Scalar]] = []
        numbers: dict[Key, list[int]] = {}
        for group, search in searches.items():
            proposed = search.ask(min(left, len(recipe.sets)))
            start = len(found.sets) + len(further)
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
        found = _more(matrix, recipe, found, further, asked, fit)
        sums = candidate_sums(found.losses)
        for group, search in searches.items():
            search.tell([shared_loss(sums, groups[group], number) for number in numbers[group]])
        left -= len(recipe.sets)
    return found


def _groups(found: _Tried, tune: str) -> dict[Key, list[Key]]:
    """The parts that share their parameters, by the first of them: those of a level, or each alone."""
    parts = sorted({key for key, _ in found.fitted if key}, key=part_order)
    if tune == "part":
        return {key: [key] for key in parts}
    levels = [[key for key in parts if len(key) == depth] for depth in sorted({len(key) for key in parts})]
    return {level[0]: level for level in levels}


def _more(
    matrix: DataFrame,
    recipe: FitConfig,
    found: _Tried,
    further: Sequence[Mapping[str, Scalar]],
    asked: Mapping[Candidate, int],
    fit: Fit,
) -> _Tried:
    """What is known after further sets have been tried where they are asked for."""
    sets = [*found.sets, *further]
    fitted = fit(asked, replace(recipe, sets=sets))
    files = {candidate: part.files for candidate, part in fitted.items() if not part.problem}
    problems = {candidate: part.problem for candidate, part in fitted.items()}
    losses = joined_losses(found.losses, validation_losses(matrix, files, recipe))
    return _Tried(sets, {**found.problems, **problems}, losses)


def _unfitted(tried: Mapping[Key, int], found: _Tried) -> dict[Key, Decision]:
    """The parts that no set of parameters could be fitted to, with the first problem."""
    problems: dict[Key, list[str]] = {key: [] for key in tried}
    for (key, _), problem in found.problems.items():
        problems[key].append(problem)
    return {key: Decision(False, told[0]) for key, told in problems.items() if all(told)}
