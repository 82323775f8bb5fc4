"""All DAGs of a project, and the Airflow DAG bundle that keeps a DAG file for each project folder.

Airflow records import errors per file, and takes every DAG of a file with an error away. So that a broken
document costs the DAGs of its own project only, each project has a file to itself; and because the bundle
writes these files whenever Airflow refreshes it, a new project folder shows up by itself.
"""

from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle

from dags.features import features_dag, group_dags
from dags.files import write_dag_files
from dags.ingest import ingest_dag
from dags.monitor import monitor_dag
from dags.repush import repush_dag
from dags.score import score_dag
from dags.train import train_dag
from giornata.documents.load import load_or_problems
from giornata.errors import DocumentErrors
from giornata.settings import load_settings


def project_dags(folder: str) -> None:
    """Make all DAGs of the project in `folder`, for the DAG file that calls. Raises DocumentErrors.

    The first DAG of the chain ingest, features, score, monitor has the project's schedule, each other one
    runs after the one before; a DAG that the project has no use for is left out.
    """
    documents = load_or_problems(Path(folder))
    if isinstance(documents, DocumentErrors):
        raise documents
    source = None
    for stage in (ingest_dag, features_dag, score_dag):
        source = stage(documents, source) or source
    monitor_dag(documents, source)
    group_dags(documents)
    repush_dag(documents)
    for model in documents.models:
        train_dag(documents, model)


class ProjectsBundle(BaseDagBundle):
    """The DAG files of the projects in GIORNATA_PROJECTS, kept in the folder `dags` of GIORNATA_HOME."""

    supports_versioning = False

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        settings = load_settings()
        self._projects = Path(settings.projects).resolve()
        self._files = Path(settings.home).resolve() / "dags"

    @property
    def path(self) -> Path:
        """The folder of the DAG files."""
        return self._files

    def get_current_version(self) -> None:
        """None: a run uses the documents as they are when it runs."""
        return

    def initialize(self) -> None:
        """Write the files, also on a worker, which may be the first to need them on its machine."""
        self.refresh()
        super().initialize()

    def refresh(self) -> None:
        """Write the files anew."""
        write_dag_files(self._projects, self._files)
