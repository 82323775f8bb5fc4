"""All DAGs of a project, and the Airflow DAG bundle that keeps a DAG file for each project folder.

Airflow records import errors per file, and removes every DAG of a file with an error. So that a broken document only
affects the DAGs of its own project, each project has a file of its own; and because the bundle writes these files
whenever Airflow refreshes it, a new project folder shows up by itself.

The state of all projects' documents at a time is a version of the bundle. Airflow records it in every run, and the
run's tasks are generated from the copies of these documents, however the projects have changed since.
"""

from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle, BundleVersion

from dags.features import features_dag, group_dags
from dags.files import project_folders, write_dag_files
from dags.ingest import ingest_dag
from dags.monitor import monitor_dag
from dags.repush import repush_dag
from dags.score import score_dag
from dags.train import train_dag
from dags.versions import folders_of, keep_version
from giornata.documents.load import load_or_problems
from giornata.errors import DocumentErrors
from giornata.settings import load_settings


def project_dags(folder: str) -> None:
    """Create all DAGs of the project in `folder`, for the DAG file that calls. Raises DocumentErrors.

    The first DAG of the chain ingest, features, score, monitor has the project's schedule, each other one runs after
    the one before; a DAG that the project does not need is left out.
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
    """The DAG files of the projects in GIORNATA_PROJECTS, kept in the folder `dags` of GIORNATA_HOME.

    For a version other than the current one, they lie where Airflow keeps versions, and refer to the kept copies.
    """

    supports_versioning = True

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        settings = load_settings()
        self._projects = Path(settings.projects).resolve()
        self._store = settings.documents
        self._kept = folders_of(self._store, self.version) if self.version else None
        # A version of which nothing is kept any more gives way to the documents as they are.
        self._files = (
            self.versions_dir / self.version
            if self.version and self._kept
            else Path(settings.home).resolve() / "dags"
        )

    @property
    def path(self) -> Path:
        """The folder of the DAG files."""
        return self._files

    def get_current_version(self) -> BundleVersion:
        """Copy the documents of all projects as they are now, and return the version for new runs."""
        return BundleVersion(keep_version(self._store, project_folders(self._projects)))

    def initialize(self) -> None:
        """Write the files, also on a worker, which may be the first on its machine to need them."""
        if self.version:
            # Where Airflow looks for what it removes of a version that nobody uses any more.
            (self.versions_dir / self.version).mkdir(parents=True, exist_ok=True)
        self.refresh()
        super().initialize()

    def refresh(self) -> None:
        """Write the files again."""
        write_dag_files(self._kept or project_folders(self._projects), self._files)
