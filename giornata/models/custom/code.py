"""The source of a model's own class, as it travels in the files of its models."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

__all__ = ["METHODS", "CustomCode"]

METHODS = ("fit", "predict", "save", "load")
"""Methods that a class must have; see `giornata.models.custom.fitted.CustomModel`."""


@dataclass(frozen=True)
class CustomCode:
    """A class of a project: its file, as shown to people (`models/usual.py`), and the text of that file."""

    class_name: str
    file: str
    source: str

    @cached_property
    def version(self) -> str:
        """SHA-256 of the source."""
        return hashlib.sha256(self.source.encode()).hexdigest()
