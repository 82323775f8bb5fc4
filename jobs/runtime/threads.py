"""Work on several items at a time, in threads: while the driver plans the queries of one, those of another run."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["side_by_side"]

Item = TypeVar("Item")

AT_ONCE = 2
"""Items at a time, as many as a job has threads (see `jobs.runtime.session.SMALL_MASTER`)."""


def side_by_side(work: Callable[[Item], None], items: Iterable[Item], at_once: int = AT_ONCE) -> None:
    """Call `work` with each item, `at_once` of them at a time.

    After an error, or when this thread is interrupted, no further one begins, and the error is raised when those that
    run have ended.
    """
    with ThreadPoolExecutor(at_once) as threads:
        try:
            for each in [threads.submit(work, item) for item in items]:
                each.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
