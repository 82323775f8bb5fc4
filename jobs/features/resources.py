"""The executors of a job on feature groups."""

from collections.abc import Mapping, Sequence

from giornata.documents import ProjectDocuments
from giornata.documents.resources import JobResources
from jobs.runtime.resources import largest

__all__ = ["group_resources"]


def group_resources(
    documents: ProjectDocuments, groups: Sequence[str] | None, changes: Mapping[str, object]
) -> JobResources | None:
    """The executors of a job on some groups of a project, or on all: the most that any of them asks for.

    A group without resources of its own has those of the project's stage `features`. Raises NotFoundError, and
    SettingsError for `changes` that no document could have.
    """
    usual = documents.project.resources.features
    chosen = [documents.group(name) for name in groups or documents.groups]
    return largest([group.resources or usual for group in chosen], changes)
