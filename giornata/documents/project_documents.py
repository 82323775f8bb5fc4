"""The checked documents of a project: its tables, feature groups, models, functions and classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from giornata import names
from giornata.documents.feature_group import FeatureGroup, Source
from giornata.documents.model import ModelSpec
from giornata.documents.project import Project
from giornata.documents.suggestions import did_you_mean
from giornata.documents.table import Table
from giornata.documents.text_files import read_text, shown_path
from giornata.errors import NotFoundError
from giornata.models.custom.code import CustomCode

if TYPE_CHECKING:
    from dsl import Udfs


D = TypeVar("D", bound=BaseModel)


@dataclass(frozen=True)
class ProjectDocuments:
    """The checked documents of a project; the mappings are from name to document, `udfs` its functions if any.

    Each version of a feature group is a group of its own here, `origin_weather` and `origin_weather_v2`. `classes` are
    those of the models of type custom, by the model's name.
    """

    name: str
    folder: Path
    project: Project
    tables: Mapping[str, Table]
    groups: Mapping[str, FeatureGroup]
    models: Mapping[str, ModelSpec]
    udfs: "Udfs | None" = None
    classes: Mapping[str, CustomCode] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """The table called `name`. Raises NotFoundError."""
        return self._find("table", name, self.tables)

    def group(self, name: str) -> FeatureGroup:
        """The feature group called `name`. Raises NotFoundError."""
        return self._find("feature group", name, self.groups)

    def model(self, name: str) -> ModelSpec:
        """The model called `name`. Raises NotFoundError."""
        return self._find("model", name, self.models)

    def _find(self, kind: str, name: str, documents: Mapping[str, D]) -> D:
        if name not in documents:
            hint = did_you_mean(name, documents)
            raise NotFoundError(
                f"project {self.name} has no {kind} '{name}'" + (f" ({hint})" if hint else "")
            )
        return documents[name]

    def source(self, group: str) -> Source:
        """The kind of source of a feature group's rows. Raises NotFoundError."""
        if self.group(group).events:
            return "windows"
        return "query" if self._query(group).is_file() else "function"

    def query(self, group: str) -> str:
        """The text of a feature group's query, if it has one. Raises DocumentErrors if the file is not text."""
        self.group(group)
        return read_text(self._query(group), shown_path(self._query(group)))

    def _query(self, group: str) -> Path:
        return self.folder / "features" / f"{names.group_file(group)}.sql"

    def has_loader(self, table: str) -> bool:
        """Whether the project itself loads this table; if not, something else fills it."""
        self.table(table)
        return (self.folder / "tables" / f"{table}.py").is_file()
