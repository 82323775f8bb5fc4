"""Refuses, where a DAG run is asked for, a range of days that holds none: an ASGI layer around Airflow's API.

A trigger form checks each of its fields by a JSON schema, which cannot compare two of them: without this a run whose
`from` comes after its `to` is accepted, queued and failed.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import orjson

from giornata.days import DaysError, days

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_RUNS = re.compile(r"/api/v2/dags/(?P<project>\w+)\.(\w+\.)?(ingest|features|score|monitor)/dagRuns")
_LONGEST = 1024 * 1024


class DayRanges:
    """Passes every request on to `app`, but for the start of a run of one of our DAGs with days that are none."""

    def __init__(self, app: App, projects: Path):
        """`projects` is the folder of projects: other DAGs may mean something else by `from` and `to`."""
        self._app = app
        self._projects = projects

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer 422 with the reason, or let the application answer."""
        found = (
            _RUNS.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        )
        if found is None or not (self._projects / found["project"] / "project.yaml").is_file():
            await self._app(scope, receive, send)
            return
        messages = [await receive()]
        while (
            messages[-1].get("more_body") and sum(len(each.get("body", b"")) for each in messages) < _LONGEST
        ):
            messages.append(await receive())
        problem = _problem(b"".join(each.get("body", b"") for each in messages))
        if problem is None:
            waiting = iter(messages)

            async def again() -> Message:
                return next(waiting, None) or await receive()

            await self._app(scope, again, send)
            return
        body = orjson.dumps({"detail": problem})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 422, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _problem(body: bytes) -> str | None:
    """What is wrong with the days that a request states, if anything; what is no such request Airflow refuses."""
    try:
        conf = orjson.loads(body)["conf"]
        first, last = conf["from"], conf["to"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if not (isinstance(first, str) and isinstance(last, str) and first and last):
        return None
    try:
        days(first, last)
    except DaysError as error:
        return str(error)
    return None
