"""Expressions of models: mistakes, definitions, functions of the project and types, each reported at its place."""

import pytest

from giornata.documents import compile_model, load_project
from tests.giornata.documents.conftest import UDFS
from tests.giornata.documents.problems import at, marked

# Every row: what is replaced in models/hours.yaml, by what, and the line, the marked text and the suggestion.
LANGUAGE_MISTAKES = {
    "misspelt column": (
        "weight: row.weight", "weight: row.wieght",
        9, "row.wieght", "did you mean row.weight?",
    ),
    "in double quotes": (
        "weight: row.weight", 'weight: "log1p(row.wieght)"',
        9, "row.wieght", "did you mean row.weight?",
    ),
    "behind an escape": (
        "weight: row.weight", 'weight: "\\x6cog1p(\\u0072ow.wieght)"',
        9, "\\u0072ow.wieght", "did you mean row.weight?",
    ),
    "behind doubled quotes": (
        "weight: row.weight", "weight: 'float(length(null_if(row.shop, ''a''))) + row.wieght'",
        9, "row.wieght", "did you mean row.weight?",
    ),
    "in a folded plain value": (
        "weight: row.weight", "weight: row.weight\n    + row.wieght",
        10, "row.wieght", "did you mean row.weight?",
    ),
    "in a block": (
        "weight: row.weight", "weight: |\n    row.weight +\n      row.wieght",
        11, "row.wieght", "did you mean row.weight?",
    ),
    "in a folded block": (
        "weight: row.weight", "weight: >-  # heavy\n    row.weight +\n    row.wieght",
        11, "row.wieght", "did you mean row.weight?",
    ),
    "unknown group": (
        "store.shop_load.orders_1h", "store.shop_laod.orders_1h",
        10, "store.shop_laod", "did you mean store.shop_load?",
    ),
    "partition": (
        "by: [row.shop]", "by: [row.shpo]",
        11, "row.shpo", "did you mean row.shop?",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", LANGUAGE_MISTAKES)
def test_a_mistake_in_an_expression_is_reported_at_its_place(mistake, problems_after):
    old, new, line, wrong, suggestion = LANGUAGE_MISTAKES[mistake]
    (problem,) = problems_after("models/hours.yaml", old, new)
    assert (problem.file, problem.line) == ("shop/models/hours.yaml", line)
    assert (marked(problem), problem.suggestion) == (wrong, suggestion)


# What is put before `features:`, in line 8, what of `weight: row.weight` becomes, and the marked text.
DEFINE_MISTAKES = {
    "in a definition": ("define: {heavy: row.wieght > 3}", "int(heavy)", 8, "row.wieght"),
    "in a use of it": ("define: {heavy: row.weight > 3}", "int(haevy)", 9, "haevy"),
    "a cycle": ("define: {heavy: weight > 3}", "int(heavy)", 8, "weight"),
    "a name twice": ("define: {busy: row.weight}", "row.weight", 8, "busy"),
    "sees the future": ("define: {heavy: row.items > 3}", "int(heavy)", 8, "row.items"),
}


@pytest.mark.parametrize("mistake", DEFINE_MISTAKES)
def test_a_mistake_among_named_expressions_is_reported_once_at_its_place(mistake, problems_after):
    define, weight, line, wrong = DEFINE_MISTAKES[mistake]
    old, new = "features:\n  weight: row.weight", f"{define}\nfeatures:\n  weight: {weight}"
    (problem,) = problems_after("models/hours.yaml", old, new)
    assert problem.line == line + (line == 9)
    assert marked(problem) == wrong


def test_features_and_levels_use_named_expressions(shop):
    model = shop / "models/hours.yaml"
    text = model.read_text().replace("by: [row.shop]", "by: [kind, lower(kind), heavy]")
    text = text.replace("features:\n  weight: row.weight", "define: {kind: lower(row.shop)}\n"
                        "features:\n  heavy: weight > 3\n  weight: row.weight")  # fmt: skip
    model.write_text(text)
    compiled = compile_model(load_project(shop), "hours")
    assert compiled.features.names == ("heavy", "weight", "busy")
    assert compiled.partition.names == ("kind", "level_2", "heavy")
    assert compiled.partition.row({"shop": "A", "weight": 4.0}) == ["a", "a", True]


def test_a_level_is_there_twice(problems_after):
    (problem,) = problems_after("models/hours.yaml", "by: [row.shop]", "by: [row.shop, row.shop]")
    assert (marked(problem), problem.message) == ("row.shop", "level 'shop' appears twice")


def test_a_part_is_not_chosen_by_what_is_learned(problems_after):
    (problem,) = problems_after("models/hours.yaml", "by: [row.shop]", "by: [vocabulary(row.shop)]")
    assert marked(problem) == "vocabulary(row.shop)"
    assert problem.message == "a partition cannot use functions that are fitted to the training rows"


def test_expressions_call_the_projects_functions(shop, problems_after):
    (shop / "udfs.py").write_text(UDFS)
    model = shop / "models/hours.yaml"
    model.write_text(model.read_text().replace("weight: row.weight", "weight: udfs.grams(row.weight)"))
    documents = load_project(shop)
    assert list(documents.udfs.functions) == ["grams"]
    assert compile_model(documents, "hours").features.row({"weight": 0.5})[0] == 500.0
    (problem,) = problems_after("models/hours.yaml", "udfs.grams", "udfs.gram")
    assert (problem.line, marked(problem)) == (9, "udfs.gram")
    assert problem.suggestion == "did you mean udfs.grams(…)?"


def test_a_mistake_in_the_projects_functions_is_reported_once_at_its_place(shop, problems_after):
    (shop / "udfs.py").write_text(f"import os\n{UDFS}")
    (problem,) = problems_after("models/hours.yaml", "weight: row.weight", "weight: udfs.grams(row.weight)")
    assert (problem.file, problem.line, marked(problem)) == ("shop/udfs.py", 1, "import os")
    assert problem.message.startswith("os cannot be imported here")


def test_a_type_error_in_an_expression(problems_after):
    (problem,) = problems_after("models/hours.yaml", "weight: row.weight", "weight: row.weight + row.shop")
    assert at(problem)[:2] == ("shop/models/hours.yaml", 9)


def test_a_feature_must_be_a_number(problems_after):
    (problem,) = problems_after("models/hours.yaml", "weight: row.weight", "weight: row.shop")
    assert at(problem) == ("shop/models/hours.yaml", 9, 11)
    assert problem.message == "'weight' is str; float or int or bool is needed"
    assert problem.suggestion == "wrap it in vocabulary(…)"


def test_a_part_is_not_chosen_by_a_measurement(problems_after):
    (problem,) = problems_after("models/hours.yaml", "by: [row.shop]", "by: [row.shop, row.weight]")
    assert at(problem) == ("shop/models/hours.yaml", 11, 28)
    assert problem.message == "'weight' is float; str or int or bool is needed"
