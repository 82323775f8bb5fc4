"""Documents: the YAML files that a project consists of, as checked and unchangeable objects."""

from giornata.documents.compile import CompiledModel, compile_model
from giornata.documents.feature_group import Expectation, Feature, FeatureGroup
from giornata.documents.load import load_project, load_projects
from giornata.documents.model import Alert, ModelSpec, Partition, Search
from giornata.documents.project import Project
from giornata.documents.project_documents import ProjectDocuments
from giornata.documents.table import Table

__all__ = [
    "Alert",
    "CompiledModel",
    "Expectation",
    "Feature",
    "FeatureGroup",
    "ModelSpec",
    "Partition",
    "Project",
    "ProjectDocuments",
    "Search",
    "Table",
    "compile_model",
    "load_project",
    "load_projects",
]
