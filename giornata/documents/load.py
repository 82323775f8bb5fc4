"""Loads the documents of a project folder and reports all mistakes in them at once."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from giornata import names
from giornata.documents.compile import compile_problems
from giornata.documents.custom_code import read_code
from giornata.documents.feature_group import FeatureGroup
from giornata.documents.files import Documents, Drafts
from giornata.documents.model import ModelSpec
from giornata.documents.project import Project
from giornata.documents.project_documents import ProjectDocuments
from giornata.documents.references import reference_problems
from giornata.documents.table import Table
from giornata.documents.text_files import shown_path
from giornata.documents.udfs import read_udfs
from giornata.documents.validate import validate
from giornata.documents.yaml_positions import YamlFile
from giornata.errors import DocumentErrors, InvalidNameError, NotFoundError, Problem

D = TypeVar("D", bound=BaseModel)


def load_projects(root: Path) -> dict[str, ProjectDocuments | DocumentErrors]:
    """Every project in the folder `root` by name: its documents, or the mistakes in them.

    A project is a folder that holds `project.yaml`. Raises NotFoundError if `root` is not a folder.
    """
    if not root.is_dir():
        raise NotFoundError(f"there is no folder of projects at {root}")
    loaded: dict[str, ProjectDocuments | DocumentErrors] = {}
    for folder in sorted(file.parent for file in root.glob("*/project.yaml")):
        loaded[folder.name] = load_or_problems(folder)
    return loaded


def load_or_problems(folder: Path) -> ProjectDocuments | DocumentErrors:
    """The documents of the project in `folder`, or what is wrong with them; even an unforeseen error is returned, so
    that one project never keeps the others from being read. Raises NotFoundError if there is no such folder."""
    try:
        return load_project(folder)
    except DocumentErrors as errors:
        return errors
    except NotFoundError:
        raise
    except Exception as error:  # noqa: BLE001 - what no rule foresees is a fault of this project, too
        message = f"the documents cannot be read ({type(error).__name__}: {error})"
        return DocumentErrors([Problem(shown_path(folder / "project.yaml"), 1, 1, message)])


def load_project(folder: Path) -> ProjectDocuments:
    """The documents of the project in `folder`. Raises DocumentErrors with all problems, or NotFoundError.

    For instance:

        >>> documents = load_project(Path("projects/flights"))
        >>> documents.model("late").task, sorted(documents.groups)[:2]
        ('binary', ['carrier_at_origin', 'carrier_delays'])
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise NotFoundError(f"there is no project folder at {folder}")
    project_file, project = _read(Project, folder / "project.yaml", folder)
    tables = _read_folder(Table, folder, "tables")
    groups = _read_folder(FeatureGroup, folder, "features", names.group_of_file)
    models = _read_folder(ModelSpec, folder, "models")
    udfs, udf_problems = read_udfs(folder / "udfs.py", shown_path(folder / "udfs.py"))
    drafts = Drafts(folder, tables, groups, models, udfs, bool(udf_problems))
    problems = [*project_file.problems, *udf_problems, *_name_problems(folder), *_stray_files(folder)]
    for documents in (tables, groups, models):
        for file in documents.files.values():
            problems += file.problems
    problems += reference_problems(drafts)
    problems += compile_problems(drafts)
    if problems or project is None:
        raise DocumentErrors(dict.fromkeys(problems))
    return ProjectDocuments(
        name=folder.name,
        folder=folder,
        project=project,
        tables=tables.valid,
        groups=groups.valid,
        models=models.valid,
        udfs=udfs,
        classes={
            name: read_code(folder, model.class_) for name, model in models.valid.items() if model.class_
        },
    )


def _read(kind: type[D], path: Path, folder: Path) -> tuple[YamlFile, D | None]:
    shown = shown_path(path)
    if not path.exists():
        return YamlFile.broken(shown, Problem(shown, 1, 1, "the project has no project.yaml")), None
    file = YamlFile.read(path, shown)
    return file, validate(kind, file)


def _read_folder(
    kind: type[D], folder: Path, part: str, name_of: Callable[[str], str] = names.check_name
) -> Documents[D]:
    """The documents in a folder; `name_of` turns a file's stem into a name, or raises InvalidNameError."""
    files: dict[str, YamlFile] = {}
    valid: dict[str, D] = {}
    for path in sorted((folder / part).glob("*.yaml")):
        file, document = _read(kind, path, folder)
        try:
            name = name_of(path.stem)
        except InvalidNameError as error:
            file.problems.append(Problem(shown_path(path), 1, 1, f"the file's name: {error}"))
            name = path.stem if path.stem not in files else path.name
        files[name] = file
        if document is not None:
            valid[name] = document
    return Documents(files, valid)


def _name_problems(folder: Path) -> list[Problem]:
    try:
        names.check_project_name(folder.name)
    except InvalidNameError as error:
        return [Problem(shown_path(folder / "project.yaml"), 1, 1, f"the project folder's name: {error}")]
    return []


def _stray_files(folder: Path) -> list[Problem]:
    """Files that look like documents but would be ignored silently."""
    problems = []
    for path in sorted(folder.glob("**/*.yml")):
        renamed = f"rename it {shown_path(path.with_suffix('.yaml')).rpartition('/')[2]}"
        problems.append(Problem(shown_path(path), 1, 1, "documents end in .yaml", renamed))
    for part, suffix in (("tables", ".py"), ("features", ".sql"), ("features", ".py")):
        for path in sorted((folder / part).glob(f"*{suffix}")):
            wanted = path.with_suffix(".yaml")
            if not wanted.exists() and path.stem != "__init__":
                message = f"there is no {shown_path(wanted).rpartition('/')[2]} beside it"
                problems.append(Problem(shown_path(path), 1, 1, message))
    return problems
