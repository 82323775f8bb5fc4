"""Adds a task and a model type to those that there are, and takes a project's model of them from document to metrics.

    python tests/giornata/models/added_type.py FOLDER

FOLDER is a project whose model `hours` is of type `constant` and of task `count`. What was found is printed as JSON.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from giornata.models import MODEL_TYPES, model_type
from giornata.models.base import FitError, FitRequest, FittedModel, ModelType, ParameterError
from giornata.models.files import read_document, write_json
from giornata.models.parameters import Choice, ParameterTable
from giornata.models.search_space import Dimension
from giornata.schema import Document
from giornata.tasks import TASKS, Task
from giornata.tasks.metrics import METRICS, Metric

LABELS = [0.0, 1.0, 1.0, 6.0]


class Count(Task):
    """How many, from features."""

    name = "count"
    label = "number"
    metrics = ("deviance",)
    loss = "deviance"
    answer = "the expected count"
    baseline = "the mean of the training labels for every row"

    def measure(self, actual, answers, outputs: Sequence[str] = ()) -> dict[str, float]:
        return {"deviance": float(self.losses(actual, answers).mean()) if len(actual) else math.nan}

    def losses(self, actual, answers, outputs: Sequence[str] = ()):
        import numpy as np

        logs = np.log(np.where(actual > 0, actual, 1) / np.where(actual > 0, answers, 1))
        return 2 * (actual * logs - actual + answers)


class Value(Document):
    value: float


class Constant(FittedModel):
    """One answer to every row."""

    def __init__(self, value: float):
        self.value = value

    def predict(self, matrix):
        import numpy as np

        return np.full(len(matrix), self.value)

    def to_files(self) -> dict[str, bytes]:
        return {"value.json": write_json({"value": self.value})}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        return cls(read_document(Value, files, "value.json", "constant").value)

    def importance(self) -> dict[int, float]:
        return {}

    def size(self) -> dict[str, int]:
        return {"numbers": 1}


class ConstantType(ModelType):
    """The mean or the median of the labels."""

    name = "constant"
    tasks = ("regression", "count")
    parameters = ParameterTable({"statistic": Choice(("mean", "median"), default="mean")})
    default_space: ClassVar[Mapping[str, Dimension]] = {"statistic": Dimension(choice=["mean", "median"])}

    @property
    def fitted(self) -> type[FittedModel]:
        return Constant

    def learn(self, request: FitRequest) -> FittedModel:
        import numpy as np

        statistic = np.mean if request.parameters["statistic"] == "mean" else np.median
        return Constant(float(statistic(request.examples.target)))


def add() -> None:
    """Before documents are imported, as they would be added by a module: documents take the names when they are."""
    METRICS["deviance"] = Metric(False, 0, math.inf)
    TASKS["count"] = Count()
    MODEL_TYPES["constant"] = ConstantType()


def problems(folder: Path, old: str, new: str) -> list[str]:
    """What is found in the project with a text of the model's document replaced."""
    from giornata.documents import load_project
    from giornata.errors import DocumentErrors

    path = folder / "models" / "hours.yaml"
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))
    try:
        load_project(folder)
    except DocumentErrors as errors:
        return [f"{each.message} ({each.suggestion})" for each in errors.problems]
    finally:
        path.write_text(text)
    return []


def found(folder: Path) -> dict[str, object]:
    """What becomes of the model."""
    import numpy as np

    from giornata.dataset import Dataset
    from giornata.documents import load_project

    spec = load_project(folder).model("hours")
    type_ = model_type(spec.type)
    type_.check(spec.parameters, spec.search.space)
    rows = Dataset(np.zeros((4, 1), np.float32), np.array(LABELS))
    fitted = type_.fit(rows, spec.task, spec.parameters, 0)
    read = type_.fitted.from_files(fitted.to_files())
    refused = []
    for wrong, error in (({"statistic": "mode"}, ParameterError), ({"statistics": "mean"}, ParameterError)):
        try:
            type_.check(wrong, {})
        except error as problem:
            refused.append(str(problem))
    try:
        model_type("logistic").fit(rows, spec.task, {}, 0)
    except FitError as problem:
        refused.append(str(problem))
    return {
        "metrics": TASKS[spec.task].measure(rows.target, read.predict(rows.matrix)),
        "median": type_.fit(rows, spec.task, {"statistic": "median"}, 0).predict(rows.matrix).tolist(),
        "refused": refused,
        "problems": [
            problems(folder, "type: constant", "type: logistic"),
            problems(folder, "task: count", "task: counts"),
            problems(folder, "metric: deviance,", "metric: rmse,"),
        ],
    }


if __name__ == "__main__":
    add()
    print(json.dumps(found(Path(sys.argv[1]))))
