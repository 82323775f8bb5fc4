"""Which tasks a model type may be given, for those who fit."""

from giornata.documents.model import TYPES
from giornata.models.base import FitError

__all__ = ["check_task"]


def check_task(name: str, task: str) -> None:
    """Raise FitError, which says what types to use, unless the model type `name` has the task."""
    if task not in TYPES[name]:
        others = [type_ for type_, tasks in TYPES.items() if task in tasks]
        hint = f": use {' or '.join(others)}" if others else ""
        raise FitError(f"type {name} cannot be used for task {task}{hint}")
