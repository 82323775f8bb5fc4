"""Every model type: documents know it and its tasks, the reference its parameters, and it answers with NumPy alone."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml

from giornata.dataset import Dataset
from giornata.documents.model import ModelSpec
from giornata.errors import NotFoundError
from giornata.models import MODEL_TYPES, model_type
from giornata.models.base import ParameterError

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "model_types.md").read_text()
TASKS_OF = {name: type_.tasks for name, type_ in MODEL_TYPES.items()}


def test_documents_know_the_types():
    assert list(get_args(ModelSpec.model_fields["type"].annotation)) == list(MODEL_TYPES)
    with pytest.raises(NotFoundError, match="there are: xgboost, linear, logistic"):
        model_type("guess")


def test_the_reference_names_the_types_and_their_tasks():
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \|", PAGE.split("\n## ")[0], re.MULTILINE)
    assert {name: tuple(tasks.split(", ")) for name, tasks in rows} == TASKS_OF


# What a custom model takes is its class's to say.
@pytest.mark.parametrize("name", [name for name in MODEL_TYPES if name != "custom"])
def test_the_reference_names_every_parameter(name):
    with pytest.raises(ParameterError) as caught:
        model_type(name).check({"?": 1}, {})
    parameters = set(str(caught.value).split("there are ")[1].split(", "))
    listed = re.search(rf"^## [^\n]*`{name}`[^\n]*\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    cells = re.findall(r"^\| (`.*?) \|", listed, re.MULTILINE)
    rows = {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}
    only = {
        word: set(re.findall(r"`(\w+)`", types))
        for cell, types in re.findall(r"^\| (`[^|\n]*) \|[^|\n]*\(only ([^)\n]*)\)", listed, re.MULTILINE)
        for word in re.findall(r"`(\w+)`", cell)
    }
    assert {word for word in rows if name in only.get(word, {name})} == parameters


def rows_of(name):
    """Parameter, range and default, as the reference has them for a type."""
    listed = re.search(rf"^## [^\n]*`{name}`[^\n]*\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    found = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|", listed, re.MULTILINE)
    rows = [row for row in found if f"only `{name}`" in row[1] or "(only" not in row[1]]
    assert rows
    return rows


@pytest.mark.parametrize("name", [name for name in MODEL_TYPES if name != "custom"])
def test_the_defaults_and_the_ends_of_ranges_in_the_reference_are_accepted(name):
    rows = rows_of(name)
    for parameter, span, default in rows:
        ends = re.findall(r"(?<![\w`])[\d.,]+\b", span.partition(" (only")[0])
        values = re.findall(r"`([^`]+)`", span.partition(" (only")[0])
        for text in [*ends, *values, *re.findall(r"`([^`]+)`", default)]:
            model_type(name).check({parameter: yaml.safe_load(text.replace(",", ""))}, {})
        for end, beyond in zip(ends, (-1, 1), strict=False):
            with pytest.raises(ParameterError, match=rf"parameter {parameter} is at least"):
                model_type(name).check({parameter: yaml.safe_load(end.replace(",", "")) + beyond}, {})


@pytest.mark.parametrize("name", [name for name in MODEL_TYPES if name != "custom"])
def test_the_defaults_are_those_of_the_reference(name):
    known = {parameter: each.default for parameter, each in MODEL_TYPES[name].parameters.items()}
    for parameter, _, shown in rows_of(name):
        written = [yaml.safe_load(text) for text in re.findall(r"`([^`]+)`", shown)]
        default = known[parameter]
        assert default is None or default in written or (default == 1 / 3 and "a third" in shown)


ANSWER = """
import base64, json, sys
import numpy as np
from giornata.models import model_type
name, files, matrix = json.loads(sys.stdin.read())
fitted = model_type(name).fitted.from_files({key: base64.b64decode(value) for key, value in files.items()})
answers = [each for asked in (matrix, matrix[:1]) for each in fitted.predict(np.array(asked, np.float32)).tolist()]
libraries = ("sklearn", "scipy", "joblib", "pandas", "torch", "xgboost", "optuna", "statsforecast")
heavy = [each for each in libraries if each in sys.modules]
print(json.dumps([answers, heavy]))
"""


@pytest.mark.parametrize(
    ("name", "task"),
    [(name, tasks[-1]) for name, tasks in TASKS_OF.items() if name not in ("xgboost", "custom")],
)
def test_answering_takes_no_library_that_fits(name, task):
    random = np.random.default_rng(0)
    matrix = random.normal(size=(300, 3)).astype(np.float32)
    matrix[:40, 1] = np.nan
    if task == "forecasting":
        matrix = np.arange(300, dtype=np.float32)[:, None]  # the step
    target = matrix[:, 0] + random.normal(size=300)
    outputs = ("a", "b", "c") if task == "multiclass" else ()
    labels = target if task == "regression" else np.digitize(target, [0, 1] if outputs else [0]) * 1.0
    learned = Dataset(matrix, labels, outputs=outputs)
    fitted = model_type(name).fit(learned, task, {}, seed=0)
    files = {key: base64.b64encode(value).decode() for key, value in fitted.to_files().items()}
    done = subprocess.run(
        [sys.executable, "-c", ANSWER],
        input=json.dumps([name, files, matrix.tolist()]),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    answers, heavy = json.loads(done.stdout)
    expected = fitted.predict(matrix).tolist()
    assert answers == [*expected, expected[0]]
    assert heavy == []
