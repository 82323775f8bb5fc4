"""An ASGI layer around Airflow's API that refuses DAG runs for an empty range of days.

A trigger form checks each field by a JSON schema, which cannot compare two fields: without this layer, a run whose
`from` is after its `to` is accepted, queued and fails.
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
    """Passes every request on to `app`, except the start of a run of a Giornata DAG with an invalid range of days."""

    def __init__(self, app: App, projects: Path):
        """`projects` is the folder of projects: in other DAGs, `from` and `to` may mean something else."""
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
    """The mistake in a request's days, or None. Airflow itself refuses what is not such a request."""
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
