"""Which models there are documents of, whether these are in order or not."""

from pathlib import Path

from giornata.documents.suggestions import did_you_mean
from giornata.errors import NotFoundError
from giornata.names import Name


def check_is_described(folder: Path, model: Name) -> None:
    """Raise NotFoundError, with the nearest name, where the projects in `folder` have no document of a model."""
    projects = {path.parent.name for path in folder.glob("*/project.yaml")}
    if model.project not in projects:
        wrong, hint = f"project {model.project}", did_you_mean(model.project, projects)
    else:
        described = {path.stem for path in (folder / model.project / "models").glob("*.yaml")}
        if model.name in described:
            return
        wrong, hint = f"model {model}", did_you_mean(model.name, described)
    raise NotFoundError(f"there is no {wrong}" + (f" ({hint})" if hint else ""))
