"""The live versions with their records: the deployments decide which features are in use."""

from collections.abc import Collection

from cassandra.cluster import Session

from giornata.catalogue.versions import LiveVersion
from giornata.errors import NotFoundError
from giornata.stores.deployments import Deployment, Deployments
from giornata.stores.repository import Repository


def live_versions(session: Session, projects: Collection[str]) -> list[LiveVersion]:
    """Every version of these projects that is live under some tag, by model and uuid. Raises StoreError.

    A deployed version without a record is left out: nothing is known about what it reads.
    """
    deployed: dict[tuple[str, str], list[Deployment]] = {}
    for entry in Deployments(session).all_current():
        if entry.model.partition("/")[0] in projects:
            deployed.setdefault((entry.model, entry.uuid), []).append(entry)
    repository = Repository(session)
    found = []
    for (_, uuid), entries in sorted(deployed.items()):
        try:
            version = repository.get(uuid)
        except NotFoundError:
            continue
        tags = tuple(sorted(entry.tag for entry in entries))
        found.append(LiveVersion(version, tags, frozenset(mode for entry in entries for mode in entry.modes)))
    return found
