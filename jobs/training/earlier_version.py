"""The previous version of a model: it may seed the search, and is evaluated on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from giornata.bundle import open_bundle
from giornata.errors import BundleError
from giornata.records.model_version import ModelVersion
from giornata.scorer import Scorer, input_columns
from giornata.stores.repository import Repository
from jobs.runtime.session import say
from jobs.training.dataset import Windows

__all__ = ["EarlierVersion", "earlier_version", "is_comparable", "unseen_in_search", "unseen_in_training"]


@dataclass(frozen=True)
class EarlierVersion:
    """The newest other version of the model: its record and its bundle."""

    version: ModelVersion
    bundle: bytes


def earlier_version(repository: Repository, model: str, uuid: str) -> EarlierVersion | None:
    """The newest version of a model other than `uuid`; None also if its bundle cannot be read, since that must not
    prevent a new version. Raises StoreError."""
    others = [version for version in repository.list(model) if version.uuid != uuid]
    if not others:
        return None
    try:
        bundle = repository.bundle(others[0].uuid)
        Scorer(open_bundle(bundle))
    except BundleError as error:
        say("train", f"{model}: not compared with the version before: {error}")
        return None
    return EarlierVersion(repository.get(others[0].uuid), bundle)


def unseen_in_search(earlier: EarlierVersion | None, when: Windows) -> EarlierVersion | None:
    """The earlier version, unless its parameters were chosen on rows of the test period: then it must not seed this
    search."""
    if earlier is None or earlier.version.windows["validation"].end <= when.test:
        return earlier
    _say_unfair(earlier.version, earlier.version.windows["validation"].end, when, "its search does not seed")
    return None


def unseen_in_training(earlier: EarlierVersion | None, when: Windows) -> EarlierVersion | None:
    """The earlier version, unless it was trained on rows of the test period: then its metrics there would mean
    nothing."""
    if earlier is None or earlier.version.learned_until <= when.test:
        return earlier
    _say_unfair(
        earlier.version, earlier.version.learned_until, when, "it is not compared on the same rows with"
    )
    return None


def is_comparable(earlier: ModelVersion, version: ModelVersion, columns: Mapping[str, str]) -> bool:
    """Whether a version can predict for rows with these columns, and has the same task and outputs."""
    same = earlier.configuration.label == version.configuration.label
    alike = (earlier.signature.task, earlier.signature.outputs) == (
        version.signature.task,
        version.signature.outputs,
    )
    return same and alike and input_columns(earlier.signature).items() <= columns.items()


def _say_unfair(version: ModelVersion, learned: datetime, when: Windows, so: str) -> None:
    say(
        "train",
        f"version {version.uuid} before was trained on data up to {learned:%Y-%m-%d}, and the test period begins on "
        f"{when.test:%Y-%m-%d}: {so} this one",
    )
