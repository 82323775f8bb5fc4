"""Describes a search in words, for the training's log, MLflow, the command line and the console."""

from collections.abc import Iterable, Mapping

from giornata.documents.model import Search
from giornata.records.model_version import ModelVersion
from giornata.schema import Scalar

__all__ = ["DOCUMENT_PARAMETERS", "describe_base", "describe_grid", "describe_search", "untried"]

DOCUMENT_PARAMETERS = "the document's own parameters"


def describe_base(plan: Search | None, base: Mapping[str, Scalar]) -> str:
    """The first trial in words, with those of its parameters that lie outside the space."""
    outside = plan.outside(base) if plan else {}
    if not outside:
        return DOCUMENT_PARAMETERS
    told = ", ".join(f"{name} {value}" for name, value in outside.items())
    return f"{DOCUMENT_PARAMETERS}, {told} outside of the space"


def untried(plan: Search, tried: Iterable[Mapping[str, Scalar]]) -> int:
    """Number of a grid's combinations that are not among the parameters tried; 0 for other samplers."""
    of_grid = {
        tuple(parameters[name] for name in plan.space)
        for parameters in tried
        if plan.space.keys() <= parameters.keys() and not plan.outside(parameters)
    }
    return max(plan.combinations - len(of_grid), 0)


def describe_grid(plan: Search, base: Mapping[str, Scalar], trials: int) -> str:
    """The size of a grid search in words, for the log before its first trial."""
    inside = plan.space.keys() <= base.keys() and not plan.outside(base)
    left = max(plan.combinations - trials + (not inside), 0)
    first = "one of them" if inside else "beside them"
    size = f"a grid of {_count(plan.combinations, 'combination')}: {_count(trials, 'trial')}"
    told = f"{size}, the first with {DOCUMENT_PARAMETERS}, {first}"
    return (
        f"{told}; {_count(left, 'combination')} will not be tried, as trials is {plan.trials}"
        if left
        else told
    )


def describe_search(version: ModelVersion) -> str:
    """The search of a version in words: number of trials, the best one, combinations that were not tried."""
    record, plan = version.search, version.configuration.search
    if record is None:
        return DOCUMENT_PARAMETERS
    best = record.trials[record.best]
    value = f"validation {record.metric} {'undefined' if best.value is None else format(best.value, '.4g')}"
    if len(record.trials) == 1:
        return f"{DOCUMENT_PARAMETERS}, with {value}"
    told = (
        f"{_count(len(record.trials), 'trial')}, the first with "
        f"{describe_base(plan, record.trials[0].parameters)}; the best is trial {best.place} with {value}"
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
