"""Processes the days of a long range in batches that are published one by one, so that a killed job loses little."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

__all__ = ["in_steps"]

# Days of the first step, and the seconds that later ones are to take: what a killed job repeats at most, about. A step
# costs several seconds whatever its days: with shorter ones a backfill of months would mostly wait for the metastore.
FIRST_STEP = 31
SECONDS = 180.0

# Days of a step at most, however quick they are: what is measured of them passes through the driver.
MOST_DAYS = 366


def in_steps(
    days: Sequence[str], do: Callable[[Sequence[str]], None], clock: Callable[[], float] = time.monotonic
) -> None:
    """Call `do` with one run of consecutive days after the other, until all of `days` (sorted) are done.

    The size of a batch depends on how long a day took in the batch before; the remaining days are divided evenly, so
    that the last batch is not tiny. Errors of `do` are passed on.
    """
    size = FIRST_STEP
    for run in _consecutive(days):
        done = 0
        while done < len(run):
            left = len(run) - done
            step = run[done : done + math.ceil(left / max(1, round(left / size)))]
            began = clock()
            do(step)
            size = min(MOST_DAYS, max(1, int(len(step) * SECONDS / max(clock() - began, 0.001))))
            done += len(step)


def _consecutive(days: Sequence[str]) -> Iterator[list[str]]:
    run: list[str] = []
    for day in days:
        if run and date.fromisoformat(day) != date.fromisoformat(run[-1]) + timedelta(days=1):
            yield run
            run = []
        run.append(day)
    if run:
        yield run
