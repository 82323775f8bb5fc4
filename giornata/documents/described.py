"""Checks that a project or a model has a document, valid or not."""

from pathlib import Path

from giornata.documents.suggestions import did_you_mean
from giornata.errors import NotFoundError
from giornata.names import Name


def check_project_is_described(folder: Path, project: str) -> None:
    """Raise NotFoundError, with the nearest name, if `folder` has no project with this name."""
    projects = {path.parent.name for path in folder.glob("*/project.yaml")}
    if project not in projects:
        hint = did_you_mean(project, projects)
        raise NotFoundError(f"there is no project {project}" + (f" ({hint})" if hint else ""))


def check_is_described(folder: Path, model: Name) -> None:
    """Raise NotFoundError, with the nearest name, if no project in `folder` has a document of the model."""
    check_project_is_described(folder, model.project)
    described = {path.stem for path in (folder / model.project / "models").glob("*.yaml")}
    if model.name not in described:
        hint = did_you_mean(model.name, described)
        raise NotFoundError(f"there is no model {model}" + (f" ({hint})" if hint else ""))
