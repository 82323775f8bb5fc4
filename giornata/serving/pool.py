"""Threads with a bounded queue, and the deadline of a request, which includes its time in the queue."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic, perf_counter

from giornata.serving.requests import RefusedError

WAITING_PER_THREAD = 8

_WEIGHT = 0.2  # of the newest call in the mean time of calls


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a request arrived and until when it must be answered, in seconds of the monotonic clock."""

    arrived: float
    until: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The deadline of a request that arrives now."""
        now = monotonic()
        return cls(now, now + seconds)

    def within(self, seconds: float) -> "Deadline":
        """The earlier of this deadline and one so many seconds after the arrival."""
        return Deadline(self.arrived, min(self.until, self.arrived + seconds))

    def left(self) -> float:
        """Seconds that are left, 0 when there are none."""
        return max(0.0, self.until - monotonic())


class BusyError(RefusedError):
    """A request that cannot be served in time; `retry_after` is in whole seconds."""

    def __init__(self, message: str, retry_after: float = 1.0):
        super().__init__(503, "busy", message)
        self.retry_after = max(1, math.ceil(retry_after))


class Pool:
    """Threads with a bounded number of calls waiting for them."""

    def __init__(self, name: str, threads: int):
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads = threads
        self._most = threads * (1 + WAITING_PER_THREAD)
        self._taken = 0
        self._mean = 0.0

    async def run(self, call: Callable[[], bytes], deadline: Deadline) -> bytes:
        """The call's result. It must begin before the deadline, and is then waited for, however long it takes.

        Raises BusyError: at once if too many calls wait already, or so many that the deadline would pass in the queue
        by the mean time of the latest calls; at the deadline if it passes there nevertheless.
        """
        expected = self._expected_wait()
        if self._taken == self._most:
            raise BusyError("the server's queue is full; try again", expected)
        if expected > deadline.left():
            raise BusyError(
                f"{self._taken} requests are before this one, which cannot begin before its deadline; try again",
                expected,
            )
        self._taken += 1
        running = self._executor.submit(self._timed, call)
        is_late = False

        def expire() -> None:
            nonlocal is_late
            is_late = running.cancel()  # not what has begun

        timer = asyncio.get_running_loop().call_later(deadline.left(), expire)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if is_late:
                raise BusyError("the deadline passed before this request could begin; try again") from None
            raise
        finally:
            timer.cancel()
            self._taken -= 1

    def stop(self) -> None:
        """End the threads once they are idle."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _expected_wait(self) -> float:
        """Estimated seconds until a thread is free for a call that arrives now."""
        before = self._taken - self._threads + 1
        return before * self._mean / self._threads if before > 0 else 0.0

    def _timed(self, call: Callable[[], bytes]) -> bytes:
        started = perf_counter()
        try:
            return call()
        finally:
            # Two threads may both read before either writes; a mean that misses a call is as good.
            self._mean += _WEIGHT * (perf_counter() - started - self._mean)
