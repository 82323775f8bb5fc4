"""The project's module and Spark, for the tests of the flights project."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pyspark.sql import SparkSession

from giornata.settings import Settings
from jobs.runtime import project_code, session

FOLDER = Path(__file__).parents[3] / "projects" / "flights"


@pytest.fixture(scope="session")
def nycflights() -> ModuleType:
    """The project's module, imported the way the jobs do it."""
    project_code.load(FOLDER, "tables", "departures")
    return sys.modules["giornata_projects.flights.nycflights"]


@pytest.fixture(scope="session")
def spark(stores: Settings) -> Iterator[SparkSession]:
    """Spark on two threads of this machine."""
    started = session.start(stores, "tests")
    yield started
    started.stop()
