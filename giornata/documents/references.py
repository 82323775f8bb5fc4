"""Checks what documents say about each other: tables, columns, metrics, expectations and clashing names."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from giornata import names
from giornata.documents.base import format_duration
from giornata.documents.custom_code import code_file, code_problems
from giornata.documents.expectations import EXPECTATIONS, columns_named
from giornata.documents.feature_group import ENTITY_TYPES, Expectation, FeatureGroup, Window
from giornata.documents.files import Drafts
from giornata.documents.model import (
    RANGES,
    SERVED,
    Alert,
    ModelSpec,
    level_name,
)
from giornata.documents.suggestions import did_you_mean
from giornata.documents.table import Table
from giornata.documents.text_files import parse_python, read_text
from giornata.documents.yaml_positions import YamlFile
from giornata.errors import DocumentErrors, Problem
from giornata.models import MODEL_TYPES, types_for
from giornata.tasks import TASKS
from giornata.tasks.base import LABEL_TYPES
from giornata.tasks.metrics import NO_GOAL

# Columns that the platform adds: to every table, to every feature group, to every prediction and outcome.
_PARTITION_COLUMNS = ("day",)
_GROUP_COLUMNS = ("event_time", "day", "event_age")
_PREDICTION_COLUMNS = (
    "event_time", "prediction", "outputs", "prediction_id", "predicted_at", "tag", "part", "level", "inputs",
    "day", "mode", "model_uuid", "actual", "label_at",
)  # fmt: skip


def reference_problems(drafts: Drafts) -> Iterator[Problem]:
    """Every wrong reference in a project's documents, among the documents that are valid in themselves."""
    for name, table in drafts.tables.valid.items():
        yield from _table_problems(table, drafts.tables.files[name])
        loader = drafts.folder / "tables" / f"{name}.py"
        yield from _function_problems(loader, "load", drafts.tables.files[name])
    for name, group in drafts.groups.valid.items():
        file = drafts.groups.files[name]
        yield from _group_problems(group, file)
        yield from _source_problems(name, group, file, drafts.folder / "features")
        yield from _window_problems(group, file, drafts)
    for name, model in drafts.models.valid.items():
        yield from _model_problems(model, drafts.models.files[name], drafts)
        yield from _class_problems(model, drafts.models.files[name], drafts.folder)
    yield from _unused_classes(drafts)
    yield from _clashes(drafts)


def _unknown(
    file: YamlFile, path: Sequence[str | int], kind: str, wrong: object, known: Iterable[str]
) -> Problem:
    return file.value_problem(tuple(path), f"unknown {kind} '{wrong}'", did_you_mean(wrong, known))


def _timestamp_problems(
    file: YamlFile, path: Sequence[str | int], column: str, columns: Mapping[str, str]
) -> Iterator[Problem]:
    if column not in columns:
        times = [name for name, type_ in columns.items() if type_ == "timestamp"]
        yield _unknown(file, path, "column", column, times or columns)
    elif columns[column] != "timestamp":
        yield file.value_problem(tuple(path), f"column '{column}' is {columns[column]}, not timestamp")


def _key_problems(
    file: YamlFile, path: Sequence[str], key: list[str], columns: Mapping[str, str]
) -> Iterator[Problem]:
    for place, column in enumerate(key):
        if column not in columns:
            yield _unknown(file, [*path, place], "column", column, columns)
        elif column in key[:place]:
            yield file.value_problem((*path, place), f"column '{column}' appears twice")
        elif columns[column].startswith("list["):
            yield file.value_problem((*path, place), f"column '{column}' is a list, which cannot be a key")


def _table_problems(table: Table, file: YamlFile) -> Iterator[Problem]:
    for column in table.columns:
        if column in _PARTITION_COLUMNS:
            yield file.key_problem(
                ("columns", column), f"'{column}' is the partition column that every table has"
            )
    yield from _key_problems(file, ["key"], table.key, table.columns)
    yield from _timestamp_problems(file, ["event_time"], table.event_time, table.columns)
    for column, moment in table.known_at.items():
        if column not in table.columns:
            yield file.key_problem(
                ("known_at", column), f"unknown column '{column}'", did_you_mean(column, table.columns)
            )
        yield from _timestamp_problems(file, ["known_at", column], moment, table.columns)
    for place, column in enumerate(table.planned):
        yield from _timestamp_problems(file, ["planned", place], column, table.columns)
        if column in table.known_at:
            message = f"column '{column}' is in known_at, too: it is known with the row or it comes later"
            yield file.value_problem(("planned", place), message)


def _function_problems(path: Path, name: str, file: YamlFile) -> Iterator[Problem]:
    """Mistakes in the Python file next to a document, which must have the function `name(spark, start, end)`."""
    if not path.exists():
        return
    shown = str(Path(file.name).with_suffix(".py"))
    try:
        tree = parse_python(read_text(path, shown), shown)
    except DocumentErrors as errors:
        yield from errors.problems
        return
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if not functions:
        yield Problem(shown, 1, 1, f"there is no function {name}(spark, start, end) in it")
    elif [argument.arg for argument in functions[-1].args.args] != ["spark", "start", "end"]:
        yield Problem(shown, functions[-1].lineno, 1, f"{name} must take the arguments (spark, start, end)")


def _source_problems(name: str, group: FeatureGroup, file: YamlFile, folder: Path) -> Iterator[Problem]:
    """Mistakes in the source of a group: it has exactly one of query, function and windows, and that must be valid."""
    stem = names.group_file(name)
    query, function = folder / f"{stem}.sql", folder / f"{stem}.py"
    sources = [path.name for path in (query, function) if path.exists()]
    windows = any(feature.window for feature in group.features.values())
    if group.events and sources:
        message = f"the rows come from events, but there is {' and '.join(sources)} as well"
        yield file.key_problem(("events",), message, "keep one of them")
    elif len(sources) > 1:
        yield Problem(file.name, 1, 1, f"the rows come from {' and '.join(sources)}", "keep one of them")
    elif not sources and not group.events and not windows:
        message = f"the group has no source of its rows: write {query.name} or {function.name} beside it"
        yield Problem(file.name, 1, 1, message, "or state events, and a window for every feature")
    yield from _query_problems(query, file)
    yield from _function_problems(function, "compute", file)


def _query_problems(path: Path, file: YamlFile) -> Iterator[Problem]:
    if not path.exists():
        return
    shown = str(Path(file.name).with_suffix(".sql"))
    try:
        text = read_text(path, shown)
    except DocumentErrors as errors:
        yield from errors.problems
        return
    for parameter in (":from", ":to"):
        if parameter not in text:
            yield Problem(
                shown, 1, 1, f"the query does not use {parameter}, so that it cannot be run for a day"
            )


def _window_problems(group: FeatureGroup, file: YamlFile, drafts: Drafts) -> Iterator[Problem]:
    for name, feature in group.features.items():
        if group.events and not feature.window:
            message = f"'{name}' has no window, but the group's rows come from events"
            yield file.key_problem(("features", name), message, "such as window: {count: column, over: 6h}")
        if feature.window and not group.events:
            message = f"'{name}' has a window, but the group states no events"
            yield file.value_problem(
                ("features", name, "window"), message, "such as events: {table: orders, time: ordered_at}"
            )
    if not group.events:
        return
    if group.looks_back is not None:
        yield file.key_problem(
            ("looks_back",), "the windows say how far this group looks back", "leave looks_back out"
        )
    if group.ttl is not None and group.ttl < group.longest_window:
        yield file.value_problem(
            ("ttl",),
            f"the longest window reaches back {format_duration(group.longest_window)}: "
            "with this ttl, values would be missing that still hold",
            f"ttl: {format_duration(group.longest_window)}",
        )
    if group.events.table not in drafts.tables.files:
        yield _unknown(file, ["events", "table"], "table", group.events.table, drafts.tables.files)
    table = drafts.tables.valid.get(group.events.table)
    if not table:
        return
    yield from _timestamp_problems(file, ["events", "time"], group.events.event_time, table.columns)
    yield from _event_entity_problems(group, file, group.events.table, table)
    for name, feature in group.features.items():
        if feature.window:
            yield from _function_type_problems(feature.window, name, feature.type, file, table)


def _event_entity_problems(group: FeatureGroup, file: YamlFile, name: str, table: Table) -> Iterator[Problem]:
    for column, type_ in group.entity.items():
        if column not in table.columns:
            message = f"table '{name}' has no column '{column}', so its events have no such entity"
            yield file.key_problem(("entity", column), message, did_you_mean(column, table.columns))
        elif table.columns[column] != type_ and type_ in ENTITY_TYPES:
            yield file.value_problem(
                ("entity", column),
                f"column '{column}' of table '{name}' is {table.columns[column]}, not {type_}",
            )


def _function_type_problems(
    window: Window, name: str, declared: str, file: YamlFile, table: Table
) -> Iterator[Problem]:
    place = ("features", name, "window", window.function)
    if window.column not in table.columns:
        fitting = [column for column, type_ in table.columns.items() if type_ in window.types()]
        yield _unknown(file, place, "column", window.column, fitting)
        return
    type_ = table.columns[window.column]
    if type_ not in window.types():
        yield file.value_problem(
            place,
            f"{window.function} takes {' or '.join(window.types())}; column '{window.column}' is {type_}",
        )
    elif window.types()[type_] != declared:
        given = window.types()[type_]
        yield file.value_problem(
            ("features", name, "type"),
            f"the {window.function} of '{window.column}' is {given}, not {declared}",
            f"type: {given}",
        )


def _group_problems(group: FeatureGroup, file: YamlFile) -> Iterator[Problem]:
    for part, columns in (("entity", group.entity), ("features", group.features)):
        for column in columns:
            if column in _GROUP_COLUMNS:
                yield file.key_problem((part, column), f"'{column}' is a column that every feature group has")
    for column, type_ in group.entity.items():
        if column in group.features:
            yield file.key_problem(("features", column), f"'{column}' is already an entity column")
        if type_ not in ENTITY_TYPES:
            yield file.value_problem(("entity", column), f"an entity column is str or int, not {type_}")
    known = [*group.entity, *group.features, "event_time"]
    for place, expectation in enumerate(group.expect):
        yield from _expectation_problems(expectation, ("expect", place), file, known)


def _expectation_problems(
    expectation: Expectation, path: tuple[str | int, ...], file: YamlFile, columns: list[str]
) -> Iterator[Problem]:
    name, arguments = expectation.name, expectation.arguments
    signature = EXPECTATIONS.get(name)
    if signature is None:
        yield file.key_problem(
            (*path, name), f"unknown expectation '{name}'", did_you_mean(name, EXPECTATIONS)
        )
        return
    for argument in arguments:
        if argument not in signature.required + signature.optional:
            yield file.key_problem(
                (*path, name, argument),
                f"{name} has no argument '{argument}'",
                did_you_mean(argument, signature.required + signature.optional),
            )
    for argument in signature.required:
        if argument not in arguments:
            yield file.key_problem((*path, name), f"{name} needs the argument '{argument}'")
    if signature.any_of and not any(argument in arguments for argument in signature.any_of):
        yield file.key_problem((*path, name), f"{name} needs {' or '.join(signature.any_of)}")
    for inside, column in columns_named(arguments):
        if column not in columns:
            yield _unknown(file, (*path, name, *inside), "column", column, columns)
    if expectation.policy == "quarantine" and not signature.by_row:
        yield file.value_problem(
            (*path, "policy"),
            f"{name} checks all rows together: single rows cannot be quarantined",
            "use fail or warn",
        )


def _model_problems(model: ModelSpec, file: YamlFile, drafts: Drafts) -> Iterator[Problem]:
    if model.task not in MODEL_TYPES[model.type].tasks:
        yield file.value_problem(
            ("type",),
            f"type {model.type} cannot be used for task {model.task}",
            f"use {' or '.join(types_for(model.task))}",
        )
    yield from _data_problems(model, file, drafts)
    yield from _label_problems(model, file, drafts)
    yield from _metric_problems(model, file)
    if model.partition:
        levels = [level_name(text, place) for place, text in enumerate(model.partition.by)]
        for place, level in enumerate(levels):
            if level in levels[:place]:
                yield file.value_problem(("partition", "by", place), f"level '{level}' appears twice")


def _class_problems(model: ModelSpec, file: YamlFile, folder: Path) -> Iterator[Problem]:
    """A model of a type that has a class has it in a file of the project; no other has one."""
    if model.class_ is None:
        if MODEL_TYPES[model.type].has_class:
            message = f"a model of type {model.type} needs its class"
            yield file.key_problem(("type",), message, "class: module.Class")
        return
    if not MODEL_TYPES[model.type].has_class:
        having = " or ".join(name for name, type_ in MODEL_TYPES.items() if type_.has_class)
        yield file.key_problem(("class",), f"only a model of type {having} has a class", f"type: {having}")
        return
    path = code_file(model.class_)
    if not (folder / path).is_file():
        yield file.value_problem(("class",), f"there is no file {path} in the project")
        return
    yield from code_problems(folder, model.class_, str(Path(file.name).parent.parent / path))


def _unused_classes(drafts: Drafts) -> Iterator[Problem]:
    """Files that look like the class of a model but would be ignored silently."""
    if drafts.models.files.keys() != drafts.models.valid.keys():
        return
    used = {code_file(model.class_) for model in drafts.models.valid.values() if model.class_}
    shown = next((Path(file.name).parent for file in drafts.models.files.values()), Path("models"))
    for path in sorted((drafts.folder / "models").glob("*.py")):
        if f"models/{path.name}" not in used and path.stem != "__init__":
            yield Problem(str(shown / path.name), 1, 1, "no model uses a class in it")


def _data_problems(model: ModelSpec, file: YamlFile, drafts: Drafts) -> Iterator[Problem]:
    if model.data.table not in drafts.tables.files:
        yield _unknown(file, ["data", "table"], "table", model.data.table, drafts.tables.files)
    for place, column in enumerate(model.data.key):
        if column in _PREDICTION_COLUMNS:
            yield file.value_problem(
                ("data", "key", place),
                f"'{column}' is a column that every prediction has: rename the key column",
            )
    table = drafts.tables.valid.get(model.data.table)
    if table:
        yield from _key_problems(file, ["data", "key"], model.data.key, table.columns)
        yield from _timestamp_problems(file, ["data", "event_time"], model.data.event_time, table.columns)


def _label_problems(model: ModelSpec, file: YamlFile, drafts: Drafts) -> Iterator[Problem]:
    label = model.label
    if label is None:
        return
    if label.table not in drafts.tables.files:
        yield _unknown(file, ["label", "table"], "table", label.table, drafts.tables.files)
    table = drafts.tables.valid.get(label.table)
    if not table:
        return
    yield from _timestamp_problems(file, ["label", "event_time"], label.event_time, table.columns)
    allowed = LABEL_TYPES[TASKS[model.task].label]
    fitting = [column for column, type_ in table.columns.items() if type_ in allowed]
    if label.value not in table.columns:
        yield _unknown(file, ["label", "value"], "column", label.value, fitting)
    elif label.value not in fitting:
        yield file.value_problem(
            ("label", "value"),
            f"column '{label.value}' is {table.columns[label.value]}; "
            f"the label of a {model.task} model is {' or '.join(allowed)}",
        )
    data = drafts.tables.valid.get(model.data.table)
    for place, column in enumerate(model.data.key):
        if data and column in data.columns and table.columns.get(column) != data.columns[column]:
            yield file.value_problem(
                ("data", "key", place),
                f"the label is joined by it, but table '{label.table}' has no column '{column}' "
                f"of type {data.columns[column]}",
            )


def _metric_problems(model: ModelSpec, file: YamlFile) -> Iterator[Problem]:
    task = TASKS[model.task]
    known = task.metrics
    improved = [*task.searched, *(metric for metric in known if metric not in NO_GOAL)]
    if model.search and model.search.metric in NO_GOAL.intersection(known):
        yield file.value_problem(
            ("search", "metric"),
            f"a search cannot optimise {model.search.metric}: neither more nor less of it is better",
            f"use {' or '.join(improved)}",
        )
    elif model.search and model.search.metric not in improved:
        yield _unknown(
            file, ["search", "metric"], f"metric of a {model.task} model", model.search.metric, improved
        )
    for metric, bounds in (model.deploy.gate if model.deploy else {}).items():
        if metric not in known:
            yield file.key_problem(
                ("deploy", "gate", metric),
                f"unknown metric of a {model.task} model '{metric}'",
                did_you_mean(metric, known),
            )
            continue
        least, greatest = RANGES[metric]
        if bounds.min is not None and bounds.min > greatest:
            message = f"no version could pass: {metric} is never more than {greatest:g}"
            yield file.value_problem(("deploy", "gate", metric, "min"), message)
        if bounds.max is not None and bounds.max < least:
            message = f"no version could pass: {metric} is never less than {least:g}"
            yield file.value_problem(("deploy", "gate", metric, "max"), message)
    yield from _alert_problems(model, file, known)


def _alert_problems(model: ModelSpec, file: YamlFile, known: Sequence[str]) -> Iterator[Problem]:
    seen: dict[object, int] = {}
    for place, alert in enumerate(model.monitor.alerts):
        path = ("monitor", "alerts", place)
        first = seen.setdefault(alert.identity, place)
        if first != place:
            line, column = file.position(("monitor", "alerts", first))
            message = f"this alert appears twice: the first is in line {line}, column {column}"
            yield file.value_problem(path, message, "change or remove one of them")
        if alert.metric not in (*known, *SERVED):
            yield _unknown(
                file,
                (*path, "metric"),
                f"metric of a {model.task} model",
                alert.metric,
                (*known, *SERVED),
            )
            continue
        least, greatest = RANGES[alert.metric]
        if alert.above is not None and alert.above >= greatest:
            message = f"this alert could never fire: {alert.metric} is never above {greatest:g}"
            yield file.value_problem((*path, "above"), message)
        if alert.below is not None and alert.below <= least:
            message = f"this alert could never fire: {alert.metric} is never below {least:g}"
            yield file.value_problem((*path, "below"), message)
        yield from _unjudged(model, alert, path, file)


def _unjudged(
    model: ModelSpec, alert: Alert, path: tuple[str | int, ...], file: YamlFile
) -> Iterator[Problem]:
    """Why an alert could never fire: nothing is measured of the predictions that it watches, or None."""
    modes = model.deploy.modes if model.deploy else ["batch", "online"]
    watched = f"{alert.metric} is measured of answers of the server" if alert.metric in SERVED else ""
    if watched and "online" not in modes:
        message = f"this alert could never be evaluated: {watched}, and deploy.modes has no online"
        yield file.value_problem((*path, "metric"), message, f"modes: [{', '.join(modes)}, online]")
    elif model.monitor.log == 0 and (watched or "batch" not in modes):
        watched = watched or "the model answers online only"
        message = f"this alert could never be evaluated: {watched}, and monitor.log keeps none of them"
        yield file.value_problem((*path, "metric"), message, "log: 100%")


def _clashes(drafts: Drafts) -> Iterator[Problem]:
    """Tables, groups and models share one Hive database with the tables that the platform adds."""
    owners = dict.fromkeys(names.PROJECT_TABLES, "the platform's own tables")
    for kind, documents in (
        ("table", drafts.tables), ("feature group", drafts.groups), ("model", drafts.models),
    ):  # fmt: skip
        for name, file in documents.files.items():
            taken = [name, *(names.hive_tables_of_model(name) if kind == "model" else ())]
            for table in taken:
                if table in owners:
                    message = f"the name '{table}' of this {kind} is already taken by {owners[table]}"
                    yield Problem(file.name, 1, 1, message, "choose another file name")
                owners.setdefault(table, f"the {kind} '{name}'")
