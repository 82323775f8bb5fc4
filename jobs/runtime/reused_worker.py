"""What a task does for those after it in the same Python process."""

import gc
from functools import cache

__all__ = ["keep_libraries"]


@cache
def keep_libraries() -> None:
    """Take what is there now, once, out of what Python's collector looks through.

    PySpark collects after every task of a process, before the next one can begin. With the libraries that fit models
    that is some 90 ms of looking through what never goes away, longer than many a task itself. To be called when they
    are imported, so at the end of a first task.
    """
    gc.collect()
    gc.freeze()
