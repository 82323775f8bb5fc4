"""Compiles the expressions of a model's document against the columns of its table and feature groups."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from giornata.documents.feature_group import FeatureGroup
from giornata.documents.files import Drafts
from giornata.documents.model import ModelSpec
from giornata.documents.table import Table
from giornata.documents.yaml_positions import Place, YamlFile
from giornata.errors import Problem

if TYPE_CHECKING:
    from dsl import CompiledFeatures, LanguageError, Schema
    from giornata.documents.load import ProjectDocuments

_FEATURE_TYPES = ("float", "int", "bool")
_LEVEL_TYPES = ("str", "int", "bool")


class CompiledModel(NamedTuple):
    """A model's features and, by level finest first, its partition, ready to be fitted and run."""

    features: "CompiledFeatures"
    partition: "CompiledFeatures | None"


def compile_model(documents: "ProjectDocuments", name: str) -> CompiledModel:
    """The compiled expressions of a model of a loaded project. Raises NotFoundError for an unknown model."""
    from dsl import compile_features  # here, because reading documents needs no feature language

    model = documents.model(name)
    schema = _schema(documents.tables[model.data.table], documents.groups)
    partition = compile_features(model.partition.levels, schema) if model.partition else None
    return CompiledModel(compile_features(model.features, schema), partition)


def _schema(table: Table, groups: Mapping[str, FeatureGroup]) -> "Schema":
    from dsl import GroupSchema, Schema

    return Schema(
        row=dict(table.columns),
        store={
            name: GroupSchema(
                entity=dict(group.entity),
                features={feature: declared.type for feature, declared in group.features.items()},
            )
            for name, group in groups.items()
        },
    )


def compile_problems(drafts: Drafts) -> Iterator[Problem]:
    """Every error in the expressions of the models, at its place in the YAML file.

    A model is passed over while its table or a feature group it names is itself broken: what its columns are
    is then unknown.
    """
    for name, model in drafts.models.valid.items():
        table = drafts.tables.valid.get(model.data.table)
        texts = [*model.features.values(), *(model.partition.by if model.partition else ())]
        broken = drafts.groups.files.keys() - drafts.groups.valid.keys()
        if table is None or any(f"store.{group}." in text for group in broken for text in texts):
            continue
        yield from _expression_problems(model, drafts.models.files[name], table, drafts.groups.valid)


def _expression_problems(
    model: ModelSpec, file: YamlFile, table: Table, groups: Mapping[str, FeatureGroup]
) -> Iterator[Problem]:
    schema = _schema(table, groups)
    places: dict[str, Place] = {name: ("features", name) for name in model.features}
    yield from _compiled(model.features, places, _FEATURE_TYPES, file, schema)
    for name, text in model.features.items():
        yield from _early_problems(text, places[name], file, model, table)
    if model.partition:
        levels = model.partition.levels
        places = {level: ("partition", "by", place) for place, level in enumerate(levels)}
        yield from _compiled(levels, places, _LEVEL_TYPES, file, schema)
        for level, text in levels.items():
            yield from _early_problems(text, places[level], file, model, table)


def _compiled(
    texts: Mapping[str, str],
    places: Mapping[str, Place],
    types: tuple[str, ...],
    file: YamlFile,
    schema: "Schema",
) -> Iterator[Problem]:
    from dsl import LanguageErrors, compile_features

    try:
        compiled = compile_features(dict(texts), schema)
    except LanguageErrors as errors:
        for error in errors.errors:
            yield _language_problem(error, texts[error.feature], places[error.feature], file)
        return
    for name, type_ in compiled.types.items():
        if type_ not in types:
            hint = "wrap it in vocabulary(…)" if type_ == "str" else ""
            yield file.value_problem(
                places[name], f"'{name}' is {type_}; {' or '.join(types)} is needed", hint
            )


def _language_problem(error: "LanguageError", text: str, path: Place, file: YamlFile) -> Problem:
    offset = sum(len(line) + 1 for line in text.split("\n")[: error.line - 1]) + error.column - 1
    return file.text_problem(path, offset, error.length, error.message, error.suggestion or "")


def _early_problems(
    text: str, path: Place, file: YamlFile, model: ModelSpec, table: Table
) -> Iterator[Problem]:
    """Uses of a column whose value is not there yet when the model is asked."""
    asked = model.data.event_time
    for use in re.finditer(r"\brow\.([a-z][a-z0-9_]*)", text):
        known = table.known_at.get(use[1], asked)
        if known != asked:
            yield file.text_problem(
                path,
                use.start(),
                len(use[0]),
                f"{use[0]} is known at {known}, but this model is asked at {asked}: it would see the future",
            )
