"""The trials of a search in words, as the training's log, MLflow, the command line and the console tell them."""

from collections.abc import Iterable, Mapping

from giornata.documents.model import Scalar, Search
from giornata.records.model_version import ModelVersion

__all__ = ["OWN", "about_own", "about_search", "begun_grid", "untried"]

OWN = "the document's own parameters"


def about_own(plan: Search | None, own: Mapping[str, Scalar]) -> str:
    """What the first trial is, and which of its parameters the space does not hold."""
    outside = plan.outside(own) if plan else {}
    if not outside:
        return OWN
    told = ", ".join(f"{name} {value}" for name, value in outside.items())
    return f"{OWN}, {told} outside of the space"


def untried(plan: Search, tried: Iterable[Mapping[str, Scalar]]) -> int:
    """How many combinations of a grid are not among these parameters; 0 for another sampler."""
    of_grid = {
        tuple(parameters[name] for name in plan.space)
        for parameters in tried
        if plan.space.keys() <= parameters.keys() and not plan.outside(parameters)
    }
    return max(plan.combinations - len(of_grid), 0)


def begun_grid(plan: Search, own: Mapping[str, Scalar], trials: int) -> str:
    """What a search of a grid says before its first trial."""
    inside = plan.space.keys() <= own.keys() and not plan.outside(own)
    left = max(plan.combinations - trials + (not inside), 0)
    first = "one of them" if inside else "beside them"
    size = f"a grid of {_count(plan.combinations, 'combination')}: {_count(trials, 'trial')}"
    told = f"{size}, the first with {OWN}, {first}"
    return (
        f"{told}; {_count(left, 'combination')} will not be tried, as trials is {plan.trials}"
        if left
        else told
    )


def about_search(version: ModelVersion) -> str:
    """How many trials there were, which was the best, and what was not tried."""
    record, plan = version.search, version.configuration.search
    if record is None:
        return OWN
    best = record.trials[record.best]
    value = f"validation {record.metric} {'undefined' if best.value is None else format(best.value, '.4g')}"
    if len(record.trials) == 1:
        return f"{OWN}, with {value}"
    told = (
        f"{_count(len(record.trials), 'trial')}, the first with {about_own(plan, record.trials[0].parameters)}; the "
        f"best is trial {best.place} with {value}"
    )
    left = untried(plan, (trial.parameters for trial in record.trials)) if plan else 0
    if left:
        told += f"; {_count(left, 'combination')} of the grid not tried"
    tune = version.configuration.tune
    if tune != "once":
        told += f"; this was by all rows together, and every {tune} chose its own parameters by its own rows"
    return told


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
