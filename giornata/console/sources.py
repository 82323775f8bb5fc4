"""The data sources of the console: the project documents on disk and, over one connection, Giornata's tables."""

import threading
from dataclasses import dataclass
from functools import cached_property

from cassandra.cluster import Session
from fastapi import Request

from giornata.documents import ProjectDocuments, load_projects
from giornata.errors import DocumentErrors, SettingsError, StoreError
from giornata.settings import Settings
from giornata.stores.alerts import Alerts
from giornata.stores.cassandra import CASSANDRA_FAULTS, connect
from giornata.stores.deployments import Deployments
from giornata.stores.repository import Repository
from giornata.stores.series import Series
from giornata.stores.statistics import Statistics
from giornata.stores.training_runs import TrainingRuns
from giornata.stores.validations import Validations


@dataclass(frozen=True)
class Stores:
    """The tables of Giornata over one session."""

    session: Session
    repository: Repository
    deployments: Deployments
    series: Series
    alerts: Alerts

    @cached_property
    def statistics(self) -> Statistics:
        """Statistics of features; prepared at first use, since pages of models do not need them."""
        return Statistics(self.session)

    @cached_property
    def validations(self) -> Validations:
        """Results of expectations; prepared at first use."""
        return Validations(self.session)

    @cached_property
    def runs(self) -> TrainingRuns:
        """Training runs; prepared at first use."""
        return TrainingRuns(self.session)


class Sources:
    """The sources of a page. The connection is opened at first use and kept, so that no process inherits it by a
    fork."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self._opening = threading.Lock()
        self._stores: Stores | None = None

    @property
    def stores(self) -> Stores:
        """The stores. Raises StoreError if Cassandra does not answer; the next call tries again."""
        with self._opening:
            if self._stores is None:
                self._stores = _open(self.settings)
            return self._stores

    def projects(self) -> dict[str, ProjectDocuments | DocumentErrors]:
        """The projects as their documents are on disk now, or the mistakes in them. Raises NotFoundError."""
        return load_projects(self.settings.projects)

    @cached_property
    def airflow(self) -> str | None:
        """Airflow's address for links to DAGs; None if this installation has none."""
        try:
            return self.settings.airflow
        except SettingsError:
            return None

    @cached_property
    def serving(self) -> str | None:
        """The prediction server's address for examples; None if this installation has none."""
        try:
            return self.settings.serving
        except SettingsError:
            return None

    def close(self) -> None:
        """End the connection, if there is one."""
        with self._opening:
            if self._stores:
                self._stores.session.cluster.shutdown()
            self._stores = None


def _open(settings: Settings) -> Stores:
    session = connect(settings)
    try:
        return Stores(session, Repository(session), Deployments(session), Series(session), Alerts(session))
    except CASSANDRA_FAULTS as fault:
        session.cluster.shutdown()
        raise StoreError(
            f"Cassandra at {settings.cassandra} lacks the tables of Giornata or fails ({fault}). "
            "`make up` makes them."
        ) from fault


def sources(request: Request) -> Sources:
    """FastAPI dependency: the sources of the app that serves the request."""
    found: Sources = request.app.state.sources
    return found
