"""The task clustering: a prediction is a cluster and the distance to its centre."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from giornata.tasks.base import Task

if TYPE_CHECKING:
    from giornata.tasks.measures import Floats


class Clustering(Task):
    """Groups of rows that are alike; there are no labels."""

    name = "clustering"
    label = None
    metrics = ("distance", "largest_share")
    loss = "distance"
    searched = ("silhouette",)  # the more clusters there are, the less is their distance
    answer = "the number of the nearest centre"
    baseline = "a single cluster in each of the same parts"
    baseline_parameters = {"clusters": 1}  # noqa: RUF012 - a ClassVar of the base
    has_outputs = True
    shows_leaks = False

    def outputs(self, classes: Sequence[str] = (), quantiles: Sequence[float] = ()) -> tuple[str, ...]:
        """The cluster, and the distance to its centre."""
        return ("cluster", "distance")

    def measure(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> dict[str, float]:
        """distance is the mean of the distances, largest_share the share of rows in the largest cluster.

        `actual` is ignored. Without rows, none is defined.
        """
        from giornata.tasks import measures

        if not len(answers):
            return dict.fromkeys(self.metrics, math.nan)
        return {
            "distance": measures.mean(answers[:, 1]),
            "largest_share": measures.largest_share(answers[:, 0]),
        }

    def losses(self, actual: "Floats", answers: "Floats", outputs: Sequence[str] = ()) -> "Floats":
        """Distances."""
        return answers[:, 1].astype(float)
