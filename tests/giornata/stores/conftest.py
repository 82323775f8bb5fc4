"""A session on the real Cassandra, with the tables of the repository."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cassandra.cluster import Session

from giornata.settings import Settings
from giornata.stores import cassandra


@pytest.fixture(scope="session")
def repository_session(stores: Settings, schema: Path) -> Iterator[Session]:
    """Open for the whole session: every test uses models and versions of its own."""
    with cassandra.session(stores) as opened:
        cassandra.apply(opened, schema)
        yield opened
