"""Work on several items at a time, in threads: while the driver plans the queries of one, those of another run."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["side_by_side"]


def side_by_side(work: Callable[[str], None], names: Iterable[str], at_once: int) -> None:
    """Call `work` with each name, `at_once` of them at a time.

    After an error, or when this thread is interrupted, no further one begins, and the error is raised when those that
    run have ended.
    """
    with ThreadPoolExecutor(at_once) as threads:
        try:
            for each in [threads.submit(work, name) for name in names]:
                each.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
