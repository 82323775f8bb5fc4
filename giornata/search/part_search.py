"""The search for the parameters of one level or part, starting from the best parameters for all rows."""

import math
from collections import deque
from collections.abc import Mapping, Sequence

import optuna

from giornata.documents.model import Search
from giornata.schema import Scalar
from giornata.search.optuna_search import distributions, grid_points, new_study, point_within

__all__ = ["PartSearch"]


class PartSearch:
    """Proposes parameters for a level or a part, from the losses of those it has tried.

    It draws from the space of `plan` with its sampler and seed. `best` are the parameter sets tried so far, with their
    `losses` (lower is better, infinite where there is none); parameters outside the space stay as in the first of them.
    """

    def __init__(
        self, plan: Search, best: Sequence[Mapping[str, Scalar]], losses: Sequence[float], trials: int
    ):
        self._base = dict(best[0])
        self._space = distributions(plan.space)
        self._study = new_study(plan, "minimize")
        self._asked: list[optuna.trial.Trial] = []
        self._grid = deque(grid_points(plan, best, trials)) if plan.sampler == "grid" else None
        for parameters, loss in zip(best, losses, strict=True):
            point = point_within(plan.space, parameters)
            if len(point) == len(self._space) and math.isfinite(loss):
                told = optuna.trial.create_trial(params=point, distributions=self._space, value=loss)
                self._study.add_trial(told)

    def ask(self, count: int) -> list[dict[str, Scalar]]:
        """The next `count` parameter sets; fewer, or none, when a grid is exhausted."""
        if self._grid is not None:
            count = min(count, len(self._grid))
            for _ in range(count):
                self._study.enqueue_trial(self._grid.popleft())
        self._asked = [self._study.ask(self._space) for _ in range(count)]
        return [{**self._base, **trial.params} for trial in self._asked]

    def tell(self, losses: Sequence[float]) -> None:
        """Report the losses of the parameter sets that `ask` gave last, in the same order."""
        for trial, loss in zip(self._asked, losses, strict=True):
            if math.isfinite(loss):
                self._study.tell(trial, loss)
            else:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
