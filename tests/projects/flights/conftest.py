"""The project's module, for the tests of the flights project."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from jobs.runtime import project_code

FOLDER = Path(__file__).parents[3] / "projects" / "flights"


@pytest.fixture(scope="session")
def nycflights() -> ModuleType:
    """The project's module, imported the way the jobs do it."""
    project_code.load(FOLDER, "tables", "departures")
    return sys.modules["giornata_projects.flights.nycflights"]
