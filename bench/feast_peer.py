"""Feast as a neighbour in a process of its own: started by Feast's Python, told what to do line by line."""

import json
import subprocess
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from giornata.documents import FeatureGroup
from jobs.runtime.session import ROOT

__all__ = ["FeastFault", "Peer", "describe"]


class FeastFault(Exception):
    """Feast did not do what it was told: its own words, or how its process ended."""


def describe(folder: Path, groups: Mapping[str, FeatureGroup]) -> None:
    """Write `groups.json`: entity, features and ttl in seconds (null: rows do not age) of each group."""
    described = {
        name: {
            "entity": dict(group.entity),
            "features": {feature: document.type for feature, document in group.features.items()},
            "ttl": group.ttl and group.ttl / timedelta(seconds=1),
        }
        for name, group in groups.items()
    }
    (folder / "groups.json").write_text(json.dumps(described))


class Peer:
    """A running `bench.feast_side`; a context manager."""

    def __init__(self, python: str, folder: Path):
        """`python` is the interpreter of Feast's environment; what it says besides answers goes to `feast.log`."""
        self._log = (folder / "feast.log").open("a")
        self._process = subprocess.Popen(
            [python, "-m", "bench.feast_side", str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, cwd=ROOT,
        )  # fmt: skip

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def tell(self, do: str, limit: float, **arguments: object) -> dict[str, Any]:
        """Have one command obeyed within `limit` seconds. Raises FeastFault; the process is then of no more use."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        patience = threading.Timer(limit, self._process.kill)
        patience.start()
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        finally:
            patience.cancel()
        if not line:
            ended = self._process.wait()
            raise FeastFault(f"its process ended with {ended}, or took more than {limit:g} s")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise FeastFault(answer["error"])
        return answer
