"""Compiles the expressions of a model's document against the columns of its table and feature groups."""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from giornata.documents.feature_group import ENTITY_TYPES, FeatureGroup
from giornata.documents.files import Drafts
from giornata.documents.model import SERVED, ModelSpec, level_name
from giornata.documents.table import Table
from giornata.documents.yaml_positions import Place, YamlFile
from giornata.errors import Problem
from giornata.names import group_version, newest_versions
from giornata.tasks import TASKS

if TYPE_CHECKING:
    from dsl import CompiledFeatures, LanguageError, Schema, Udfs
    from giornata.documents.project_documents import ProjectDocuments

_FEATURE_TYPES = ("float", "int", "bool")
_LEVEL_TYPES = ("str", "int", "bool")


class CompiledModel(NamedTuple):
    """A model's features and, by level finest first, its partition, ready to be fitted."""

    features: "CompiledFeatures"
    partition: "CompiledFeatures | None"


def compile_model(documents: "ProjectDocuments", name: str) -> CompiledModel:
    """The compiled expressions of a model of a loaded project. Raises NotFoundError for an unknown model.

    For instance:

        >>> from pathlib import Path
        >>> from giornata.documents import load_project
        >>> features, partition = compile_model(load_project(Path("projects/flights")), "late")
        >>> features.types["departure_minute"], partition
        ('int', None)
    """
    from dsl import compile_features  # here, because reading documents needs no feature language

    model = documents.model(name)
    schema = _schema(model, documents.tables[model.data.table], documents.groups, documents.udfs)
    features = compile_features(model.features, schema, model.define)
    if not model.partition:
        return CompiledModel(features, None)
    return CompiledModel(features, compile_features(model.partition.levels, schema, _usable(model)))


def _usable(model: ModelSpec) -> dict[str, str]:
    """The expressions that a partition can use by name."""
    return {**model.features, **model.define}


def _schema(
    model: ModelSpec, table: Table, groups: Mapping[str, FeatureGroup], udfs: "Udfs | None"
) -> "Schema":
    from dsl import GroupSchema, Schema
    from dsl.schema import AGE

    return Schema(
        row=dict(table.columns),
        store={
            called: GroupSchema(
                entity=dict(groups[name].entity),
                # One called like the age is a problem of its own, told where the group is checked.
                features={
                    feature: declared.type
                    for feature, declared in groups[name].features.items()
                    if feature != AGE
                },
                name=name,
            )
            for called, name in newest_versions(groups).items()
        },
        udfs=udfs,
        barred=_not_known_yet(table, model.data.event_time),
    )


def _not_known_yet(table: Table, asked: str) -> dict[str, str]:
    """Columns whose value is not known yet at the model's event time, with the reason why no expression may read
    them."""
    return {
        column: f"is known at {known}, but this model is asked at {asked}: it would see the future"
        for column, known in table.known_at.items()
        if known != asked
    }


def compile_problems(drafts: Drafts) -> Iterator[Problem]:
    """All mistakes in the expressions of the models, at their positions in the YAML file.

    A model is skipped while its table, a feature group it names or the functions it calls have mistakes themselves.
    """
    broken = _broken_groups(drafts)
    for name, model in drafts.models.valid.items():
        table = drafts.tables.valid.get(model.data.table)
        texts = [*model.define.values(), *model.features.values()]
        texts += model.partition.by if model.partition else ()
        used = {group for text in texts for group in re.findall(r"\bstore\s*\.\s*(\w+)", text)}
        if drafts.has_broken_udfs and any(re.search(r"\budfs\s*\.", text) for text in texts):
            continue
        if table is None or broken & used:
            continue
        schema = _schema(model, table, drafts.groups.valid, drafts.udfs)
        yield from _expression_problems(model, drafts.models.files[name], schema)


def _broken_groups(drafts: Drafts) -> set[str]:
    """Names, as in expressions, of the groups whose own document or key columns have mistakes."""
    return {
        group_version(name)[0]
        for name in drafts.groups.files
        if name not in drafts.groups.valid
        or not ENTITY_TYPES.issuperset(drafts.groups.valid[name].entity.values())
    }


def _expression_problems(model: ModelSpec, file: YamlFile, schema: "Schema") -> Iterator[Problem]:
    places: dict[str, Place] = {name: ("define", name) for name in model.define}
    for name in model.define.keys() & model.features.keys():
        yield file.key_problem(("define", name), f"'{name}' is also a feature: choose another name")
    places |= {name: ("features", name) for name in model.features.keys() - model.define.keys()}
    compiled = yield from _compiled(model.features, model.define, places, file, schema)
    reads = bool(compiled is None or compiled.inputs.store)
    if compiled:
        yield from _type_problems(compiled.types, places, model.features, _FEATURE_TYPES, file)
        if compiled.learns_target and TASKS[model.task].label in ("class", None):
            message = f"features learn the mean of the label (target_mean), and a {model.task} model has none"
            yield file.value_problem(("task",), message, "use vocabulary, or another task")
    if model.partition:
        # By place, since a level can have the name of an expression that it uses.
        levels = {f"partition.by[{place}]": text for place, text in enumerate(model.partition.by)}
        places = {level: ("partition", "by", place) for place, level in enumerate(levels)}
        compiled = yield from _compiled(levels, _usable(model), places, file, schema)
        reads = reads or bool(compiled is None or compiled.inputs.store)
        if compiled:
            names = [level_name(text, place) for place, text in enumerate(model.partition.by)]
            yield from _type_problems(compiled.types, places, names, _LEVEL_TYPES, file)
            for level in compiled.learning:
                yield file.value_problem(
                    places[level], "a partition cannot use functions that are fitted to the training rows"
                )
    for place, alert in enumerate(model.monitor.alerts):
        if alert.metric in SERVED and not reads:
            yield file.value_problem(
                ("monitor", "alerts", place, "metric"),
                f"this alert could never be evaluated: {alert.metric} is about features of the feature store, and this "
                "model reads none",
            )


def _compiled(
    texts: Mapping[str, str],
    define: Mapping[str, str],
    places: Mapping[str, Place],
    file: YamlFile,
    schema: "Schema",
) -> Generator[Problem, None, "CompiledFeatures | None"]:
    """The compiled expressions at some positions, or None after adding their mistakes to the problems."""
    from dsl import LanguageErrors, compile_features

    try:
        return compile_features(texts, schema, define)
    except LanguageErrors as errors:
        for error in errors.errors:
            if error.feature in places:
                yield _language_problem(error, places[error.feature], file)
        return None


def _type_problems(
    types: Mapping[str, str],
    places: Mapping[str, Place],
    names: Iterable[str],
    wanted: tuple[str, ...],
    file: YamlFile,
) -> Iterator[Problem]:
    """Expressions whose values a model or a partition cannot use; `names` are their names for messages."""
    for (key, type_), name in zip(types.items(), names, strict=True):
        if type_ not in wanted:
            hint = "wrap it in vocabulary(…)" if type_ == "str" else ""
            yield file.value_problem(
                places[key], f"'{name}' is {type_}; {' or '.join(wanted)} is needed", hint
            )


def _language_problem(error: "LanguageError", path: Place, file: YamlFile) -> Problem:
    offset = sum(len(line) + 1 for line in error.text.split("\n")[: error.line - 1]) + error.column - 1
    return file.text_problem(path, offset, error.length, error.message, error.suggestion or "")
