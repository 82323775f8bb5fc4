"""The tasks of models, one class each: labels, predictions, metrics, loss and baseline."""

from giornata.tasks.base import Task
from giornata.tasks.binary import Binary
from giornata.tasks.clustering import Clustering
from giornata.tasks.forecasting import Forecasting
from giornata.tasks.multiclass import Multiclass
from giornata.tasks.quantile import Quantile
from giornata.tasks.regression import Regression

__all__ = ["TASKS", "Task"]

TASKS: dict[str, Task] = {
    task.name: task
    for task in (Regression(), Binary(), Multiclass(), Quantile(), Forecasting(), Clustering())
}
"""The tasks there are, by name."""
