"""The pools behind the application: bounded, and never waited for beyond their bound or a request's deadline."""

import asyncio
import threading
import time

import pytest

from giornata.serving import pool as pools
from giornata.serving.pool import BusyError, Deadline, Pool
from giornata.serving.requests import RefusedError

FAR = 30.0


def test_a_pool_takes_what_it_can_hold_and_refuses_the_rest_at_once(monkeypatch):
    monkeypatch.setattr(pools, "WAITING_PER_THREAD", 2)
    release = threading.Event()

    def slow():
        assert release.wait(30)
        return b"done"

    async def ask():
        pool = Pool("test", 1)
        taken = [asyncio.ensure_future(pool.run(slow, Deadline.after(FAR))) for _ in range(3)]
        await asyncio.sleep(0)  # lets the three begin
        with pytest.raises(RefusedError, match="queue is full") as refused:
            await pool.run(slow, Deadline.after(FAR))
        assert refused.value.status == 503
        release.set()
        assert await asyncio.gather(*taken) == [b"done"] * 3
        assert await pool.run(slow, Deadline.after(FAR)) == b"done"
        pool.stop()

    asyncio.run(ask())


def test_a_call_that_fails_gives_its_place_back():
    def fail():
        raise ValueError("broken")

    async def ask():
        pool = Pool("test", 1)
        for _ in range(100):
            with pytest.raises(ValueError, match="broken"):
                await pool.run(fail, Deadline.after(FAR))
        pool.stop()

    asyncio.run(ask())


def test_a_deadline_that_passes_in_the_queue_refuses_the_request_which_then_never_runs():
    release = threading.Event()
    ran = []

    async def ask():
        pool = Pool("test", 1)
        first = asyncio.ensure_future(pool.run(lambda: bytes(release.wait(30)), Deadline.after(FAR)))
        await asyncio.sleep(0)
        started = time.monotonic()
        with pytest.raises(BusyError, match="the deadline passed before") as refused:
            await pool.run(lambda: ran.append(1) or b"", Deadline.after(0.05))
        assert 0.05 <= time.monotonic() - started < 5
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        release.set()
        await first
        await pool.run(lambda: b"", Deadline.after(FAR))
        pool.stop()

    asyncio.run(ask())
    assert not ran


def test_what_the_queue_makes_late_is_refused_at_once_and_told_when_to_come_back():
    release = threading.Event()

    def slow():
        assert release.wait(30)
        return b"done"

    async def ask():
        pool = Pool("test", 1)
        pool._mean = 2.0  # seconds that calls took
        taken = [asyncio.ensure_future(pool.run(slow, Deadline.after(FAR))) for _ in range(3)]
        await asyncio.sleep(0)
        started = time.monotonic()
        with pytest.raises(BusyError, match="3 requests are before this one") as refused:
            await pool.run(slow, Deadline.after(5.0))  # three calls of 2 s are before it
        assert time.monotonic() - started < 1
        assert refused.value.retry_after == 6
        release.set()
        assert await pool.run(slow, Deadline.after(8.0)) == b"done"
        assert await asyncio.gather(*taken) == [b"done"] * 3
        pool.stop()

    asyncio.run(ask())


def test_a_call_that_began_before_its_deadline_is_waited_for():
    release = threading.Event()

    async def ask():
        pool = Pool("test", 1)
        asking = asyncio.ensure_future(pool.run(lambda: bytes([release.wait(30)]), Deadline.after(0.02)))
        await asyncio.sleep(0.05)  # past its deadline
        release.set()
        assert await asking == b"\x01"
        pool.stop()

    asyncio.run(ask())
