"""A live version, as the catalogue and `giornata check` know it."""

from dataclasses import dataclass

from giornata.records.model_version import ModelVersion


@dataclass(frozen=True)
class LiveVersion:
    """A version with the tags under which it is live, in order, and the modes (batch, online) that it serves."""

    version: ModelVersion
    tags: tuple[str, ...]
    modes: frozenset[str]

    @property
    def project(self) -> str:
        """The project of its model."""
        return self.version.model.partition("/")[0]

    @property
    def model(self) -> str:
        """The name of its model inside the project."""
        return self.version.model.partition("/")[2]
