"""The models that use a feature: by their documents, and by their live versions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from giornata.catalogue.versions import LiveVersion
from giornata.documents import ProjectDocuments, compile_model


@dataclass(frozen=True, order=True)
class Use:
    """A model (by its name inside the project) that uses a feature.

    `documented` says whether its document does; `tags` are those of live versions that do.
    """

    model: str
    documented: bool
    tags: tuple[str, ...]

    def __str__(self) -> str:
        live = f"live as {', '.join(self.tags)}" if self.tags else ""
        gone = "" if self.documented else "no longer in its document"
        more = "; ".join(filter(None, (live, gone)))
        return f"{self.model} ({more})" if more else self.model


class Uses:
    """The uses of all features of a project."""

    def __init__(self, documents: ProjectDocuments, live: Iterable[LiveVersion]):
        """`live` may include versions of other projects, which use none of these features."""
        self._documented = {(name, *read) for name in documents.models for read in _reads(documents, name)}
        self._live: dict[tuple[str, str, str], set[str]] = {}
        for each in live:
            if each.project != documents.name:
                continue
            for read in each.version.signature.store.values():
                for feature in read.features:
                    self._live.setdefault((each.model, read.group, feature), set()).update(each.tags)

    def of(self, group: str, feature: str) -> tuple[Use, ...]:
        """The models that use a feature, by name."""
        return self._of(lambda other, name: (other, name) == (group, feature))

    def of_group(self, group: str) -> tuple[Use, ...]:
        """The models that use any feature of a group, or the age of its rows, by name."""
        return self._of(lambda other, name: other == group)

    def _of(self, is_meant: Callable[[str, str], bool]) -> tuple[Use, ...]:
        documented = {model for model, group, name in self._documented if is_meant(group, name)}
        live: dict[str, set[str]] = {}
        for (model, group, name), tags in self._live.items():
            if is_meant(group, name):
                live.setdefault(model, set()).update(tags)
        return tuple(
            Use(model, model in documented, tuple(sorted(live.get(model, ()))))
            for model in sorted(documented | live.keys())
        )


def _reads(documents: ProjectDocuments, model: str) -> set[tuple[str, str]]:
    """The groups and features that a model's expressions read."""
    compiled = [part for part in compile_model(documents, model) if part]
    return {
        (read.group, feature)
        for part in compiled
        for read in part.inputs.store.values()
        for feature in read.features
    }
