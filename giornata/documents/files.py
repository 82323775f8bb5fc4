"""The documents of a project while they are being checked: the files, and the valid ones among them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from giornata.documents.feature_group import FeatureGroup
from giornata.documents.model import ModelSpec
from giornata.documents.table import Table
from giornata.documents.yaml_positions import YamlFile

if TYPE_CHECKING:
    from dsl import Udfs

D_co = TypeVar("D_co", covariant=True)


@dataclass(frozen=True)
class Documents(Generic[D_co]):
    """All files of one kind by name, and the documents of those that are valid in themselves.

    A name that is only in `files` exists but has no reliable content, so references to it are not checked further.
    """

    files: Mapping[str, YamlFile]
    valid: Mapping[str, D_co]


@dataclass(frozen=True)
class Drafts:
    """The documents of a project before the references between them are checked.

    `udfs` are its functions, None if it has none; `has_broken_udfs` says that their file has mistakes.
    """

    folder: Path
    tables: Documents[Table]
    groups: Documents[FeatureGroup]
    models: Documents[ModelSpec]
    udfs: "Udfs | None" = None
    has_broken_udfs: bool = False
