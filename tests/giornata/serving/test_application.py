"""The pools behind the application: bounded, and never waited for beyond their bound."""

import asyncio
import threading

import pytest

from giornata.serving import application
from giornata.serving.application import Pool
from giornata.serving.requests import RefusedError


def test_a_pool_takes_what_it_can_hold_and_refuses_the_rest_at_once(monkeypatch):
    monkeypatch.setattr(application, "WAITING_PER_THREAD", 2)
    release = threading.Event()

    def slow():
        assert release.wait(30)
        return b"done"

    async def ask():
        pool = Pool("test", 1)
        taken = [asyncio.ensure_future(pool.run(slow)) for _ in range(3)]
        await asyncio.sleep(0)  # lets the three begin
        with pytest.raises(RefusedError, match="all the requests it takes") as refused:
            await pool.run(slow)
        assert refused.value.status == 503
        release.set()
        assert await asyncio.gather(*taken) == [b"done"] * 3
        assert await pool.run(slow) == b"done"
        pool.stop()

    asyncio.run(ask())


def test_a_call_that_fails_gives_its_place_back():
    def fail():
        raise ValueError("broken")

    async def ask():
        pool = Pool("test", 1)
        for _ in range(100):
            with pytest.raises(ValueError, match="broken"):
                await pool.run(fail)
        pool.stop()

    asyncio.run(ask())
