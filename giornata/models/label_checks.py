"""Checks before a fit: whether a model type has the task, and whether labels suit it."""

import numpy as np

from giornata.dataset import Dataset
from giornata.models import ModelType, types_for
from giornata.models.base import FitError
from giornata.models.classes import places_of
from giornata.tasks import TASKS

__all__ = ["check_labels", "check_task"]


def check_task(type_: ModelType, task: str) -> None:
    """Raise FitError, with the types to use, unless the model type has the task."""
    if task not in type_.tasks:
        others = types_for(task)
        hint = f": use {' or '.join(others)}" if others else ""
        raise FitError(f"type {type_.name} cannot be used for task {task}{hint}")


def check_labels(examples: Dataset, task: str) -> None:
    """Raise FitError unless there are rows, and each label suits the task: a number, 0 or 1, a class."""
    label = TASKS[task].label
    if label == "class":
        places_of(examples)
        return
    target = examples.target
    if not len(target):
        raise FitError("there are no rows to learn from")
    if label is None:
        return
    if label == "truth" and not np.isin(target, (0, 1)).all():
        raise FitError("the labels of a binary model must be 0 or 1 (false or true); others were found")
    wrong = target[~np.isfinite(target)]
    if wrong.size:
        raise FitError(
            f"the label of {wrong.size} of {target.size} rows is no number but {wrong[0]:g}: leave these rows out"
        )
