"""One loaded model version, with everything that requests need, prepared when its bundle is opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dsl.schema import Inputs
from giornata.bundle import open_bundle, read_file
from giornata.documents import FeatureGroup
from giornata.documents.model import Online
from giornata.errors import BundleError
from giornata.names import parse_model_name
from giornata.records.model_version import ModelVersion
from giornata.scorer import Scorer, inputs_of
from giornata.serving.moments import moments_of
from giornata.serving.pool import Deadline
from giornata.serving.requests import RequestColumn, RequestReader
from giornata.serving.workers import BeforeDeadline, IsolatedScorer, Workers, own_code


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class ServedModel:
    """A version that predicts: `inputs` that it reads, `groups`, the feature groups among them, `online`, how it reads
    them.

    `own_code` are the project's functions and class that it runs. `joins_labels` says whether its predictions are
    logged and joined with labels by their keys.
    """

    name: str
    uuid: str
    project: str
    scorer: Scorer | IsolatedScorer
    reader: RequestReader
    inputs: Inputs
    groups: Mapping[str, FeatureGroup]
    online: Online
    log_share: float
    joins_labels: bool
    own_code: tuple[str, ...] = ()

    @property
    def reads_store(self) -> bool:
        """Whether a prediction needs the online feature store."""
        return bool(self.inputs.store)

    @property
    def waits(self) -> bool:
        """Whether a prediction waits for something outside this process."""
        return bool(self.own_code or self.inputs.store)

    @property
    def runs_code(self) -> bool:
        """Whether code of the project's own runs in this process."""
        return bool(self.own_code) and isinstance(self.scorer, Scorer)

    def answering(self, deadline: Deadline | None) -> Scorer | BeforeDeadline:
        """The scorer for the rows of one request."""
        return self.scorer.before(deadline) if isinstance(self.scorer, IsolatedScorer) else self.scorer

    def describe(self) -> dict[str, object]:
        """The description of the version in `GET /models`."""
        version = self.scorer.version
        signature = version.signature
        return {
            "uuid": self.uuid,
            "trained_at": version.finished_at,
            "signature": signature.model_dump(mode="json"),
            "request": {
                "inputs": {
                    name: {"type": column.type, "required": not column.nullable}
                    for name, column in signature.inputs.items()
                },
                "key": {name: version.table.columns[name] for name in signature.key},
                "event_time": {"name": signature.event_time, "required": needs_event_time(version)},
                "logged": self.log_share,
            },
        }


def needs_event_time(version: ModelVersion) -> bool:
    """Whether a request must name its moment: as the document says, by default if an input depends on it."""
    stated = version.configuration.online.event_time
    if stated is not None:
        return stated == "required"
    signature = version.signature
    return bool(signature.store) or signature.event_time in signature.inputs


def open_model(source: bytes | Path, workers: Workers | None = None) -> ServedModel:
    """Verify, open and test a bundle, given as bytes or as the path of a file.

    Raises a GiornataError that says what is wrong with it, and any error of the project's own code and of libraries.
    With `workers`, a project's own code runs in a process of theirs, and not in this one.
    """
    bundle = open_bundle(source)
    code = own_code(bundle)
    scorer: Scorer | IsolatedScorer
    if code and workers:
        scorer = workers.scorer(source if isinstance(source, bytes) else read_file(source), bundle)
    else:
        scorer = Scorer(bundle)
        scorer.check_self_test()
    version = bundle.version
    signature = version.signature
    if lacking := {store.group for store in signature.store.values()} - version.groups.keys():
        raise BundleError(f"the documents of the feature groups {', '.join(sorted(lacking))} are missing")
    columns = {name: RequestColumn(column.type, column.nullable) for name, column in signature.inputs.items()}
    return ServedModel(
        name=version.model,
        uuid=version.uuid,
        project=parse_model_name(version.model).project,
        scorer=scorer,
        reader=RequestReader(
            columns,
            version.table.columns,
            signature.key,
            signature.event_time,
            moments_of(version),
            needs_event_time(version),
        ),
        inputs=inputs_of(signature),
        groups=version.groups,
        online=version.configuration.online,
        log_share=version.configuration.monitor.log,
        own_code=code,
        joins_labels=version.configuration.monitor.log > 0 and version.configuration.label is not None,
    )
