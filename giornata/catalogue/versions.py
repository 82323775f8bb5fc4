"""A version that is live: what the catalogue and `giornata check` know of it."""

from dataclasses import dataclass

from giornata.records.model_version import ModelVersion


@dataclass(frozen=True)
class LiveVersion:
    """A version with the tags it is live under, in order, and the modes (batch, online) that it answers in."""

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
