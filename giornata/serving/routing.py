"""The routing table: maps paths to loaded model versions. Immutable; the loader makes a new one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from giornata.errors import NotFoundError
from giornata.serving.model import ServedModel


@dataclass(frozen=True, slots=True)
class Route:
    """A model version and the tag by which it was requested, None if by its UUID."""

    model: ServedModel
    tag: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A deployed version that cannot be loaded, the reason, and the tags that wait for it."""

    model: str
    uuid: str
    reason: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class RoutingTable:
    """All routes of the server at one moment; a request keeps the table that it began with.

    `problem` says why the list of deployments cannot be followed, if it cannot.
    """

    models: tuple[ServedModel, ...] = ()
    tags: Mapping[tuple[str, str], ServedModel] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    problem: str | None = None
    _routes: Mapping[str, Route] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        routes = {_path(model.name, model.uuid): Route(model, None) for model in self.models}
        routes |= {_path(name, tag): Route(model, tag) for (name, tag), model in self.tags.items()}
        object.__setattr__(self, "_routes", MappingProxyType(routes))

    def route(self, path: str) -> Route:
        """The route of `/models/{project}/{model}/{tag or uuid}/predict`.

        Raises NotFoundError that names the existing ones.
        """
        try:
            return self._routes[path]
        except KeyError:
            raise NotFoundError(self._absence(path)) from None

    def describe(self) -> dict[str, object]:
        """The answer of `GET /models`: per model its tags, versions and their signatures, and refusals."""
        names = sorted({model.name for model in self.models} | {refusal.model for refusal in self.refusals})
        return {
            "models": [
                {
                    "model": name,
                    "tags": {tag: model.uuid for (of, tag), model in sorted(self.tags.items()) if of == name},
                    "versions": [model.describe() for model in self.models if model.name == name],
                    "refused": [
                        {"uuid": refusal.uuid, "reason": refusal.reason, "tags": list(refusal.tags)}
                        for refusal in self.refusals
                        if refusal.model == name
                    ],
                }
                for name in names
            ],
            "problem": self.problem,
        }

    def _absence(self, path: str) -> str:
        name, _, reference = path.removeprefix("/models/").removesuffix("/predict").rpartition("/")
        names = sorted({model.name for model in self.models})
        for refusal in self.refusals:
            if refusal.model == name and reference in (refusal.uuid, *refusal.tags):
                return f"version {refusal.uuid} of {name} is deployed and cannot be loaded: {refusal.reason}"
        if name not in names:
            return f"no model {name[:100]!r} is deployed here; there are: {', '.join(names) or 'none'}"
        tags = sorted(tag for of, tag in self.tags if of == name)
        return (
            f"model {name} has no tag or UUID {reference[:100]!r} here; "
            f"its tags are: {', '.join(tags) or 'none'}; GET /models lists the UUIDs"
        )


def _path(name: str, reference: str) -> str:
    return f"/models/{name}/{reference}/predict"
