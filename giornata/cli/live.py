"""Queries of Cassandra whose failure a command survives: they give a reason, within seconds, instead of an error."""

import importlib.util
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from giornata.errors import SettingsError, StoreError
from giornata.settings import load_settings

if TYPE_CHECKING:
    from cassandra.cluster import Session

    from giornata.catalogue.versions import LiveVersion


class NotReachedError(StoreError):
    """Cassandra cannot be reached: no stack is set up here, or it does not answer. The message says which."""


@contextmanager
def reached_session() -> Iterator["Session"]:
    """A session with the Cassandra of the settings. Raises NotReachedError, also for failures inside the `with`
    block."""
    try:
        settings = load_settings()
        settings.cassandra  # noqa: B018 (says now whether it is set)
    except SettingsError as error:
        raise NotReachedError("no stack is set up here (GIORNATA_CASSANDRA is not set)") from error
    if not importlib.util.find_spec("cassandra"):
        raise NotReachedError("the package cassandra-driver is not installed")
    from giornata.stores.cassandra import session

    # What the driver would log is in the reason that people are told.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    try:
        with session(settings) as opened:
            yield opened
    except StoreError as error:
        raise NotReachedError(str(error)) from error


def live_now(projects: Collection[str]) -> "list[LiveVersion]":
    """The live versions of these projects. Raises NotReachedError."""
    with reached_session() as session:
        from giornata.catalogue.live import live_versions

        return live_versions(session, projects)
