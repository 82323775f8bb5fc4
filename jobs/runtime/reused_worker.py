"""Speeds up Python processes that run several Spark tasks."""

import gc
from functools import cache

__all__ = ["keep_libraries"]


@cache
def keep_libraries() -> None:
    """Exclude the objects that exist now, once, from Python's garbage collection.

    PySpark collects garbage after every task of a process, before the next one can begin. With the libraries that fit
    models, that is some 90 ms for objects that are never freed, longer than many a task itself. To be called after
    their import, so at the end of a first task.
    """
    gc.collect()
    gc.freeze()
